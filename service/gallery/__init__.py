"""The gallery: records, vectors and crops of the people seen; durable, searchable, erasable. Knows no HTTP."""
