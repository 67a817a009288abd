"""Pure functions that judge embeddings: retrieval metrics and the meaning of a score."""
