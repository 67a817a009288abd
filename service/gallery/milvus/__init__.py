"""An index in Milvus: vectors and row numbers there, everything else in the store."""
