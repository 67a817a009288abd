"""Videos in, tracklets enrolled: `reid-service ingest`."""
