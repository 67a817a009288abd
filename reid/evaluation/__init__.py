"""Pure functions that judge embeddings: retrieval, open set, calibration, re-ranking, and the report on them."""
