"""The SQLite store: one file, one writer, many readers. Imports no torch, so that crash tests run it alone."""

from service.gallery.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
