"""The records as SQLite tables, and the store that keeps them in one file."""
