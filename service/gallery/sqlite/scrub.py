"""Nothing of what was deleted stays in a SQLite file, or in its log."""

import os
import sqlite3
from pathlib import Path

from service.gallery.sqlite.schema import BUSY_S

_LOG_BUSY_MS = 100  # how long readers may hold the log before others get their turn


def keep_scratch_in(folder: Path) -> None:
    """Where SQLite makes files without a name, as :func:`rewrite` does: of this process, from the next one on."""
    os.environ["SQLITE_TMPDIR"] = str(folder.absolute())


def rewrite(connection: sqlite3.Connection) -> None:
    """Write the file anew; what is temporary on the connection goes.

    secure_delete overwrites what is deleted, but not the copies that SQLite leaves in the gaps of its pages when it
    splits and merges them; neither does an incremental vacuum, which moves pages with their gaps. Over a file without a
    name: in memory it would take as much as the store is large.
    """
    connection.execute("PRAGMA temp_store = FILE")
    try:
        connection.execute("VACUUM")
    finally:
        connection.execute("PRAGMA temp_store = MEMORY")


def empty_log(connection: sqlite3.Connection) -> bool:
    """Move the log into the file and truncate it; False where a reader still needs it."""
    connection.execute(f"PRAGMA busy_timeout = {_LOG_BUSY_MS}")
    try:
        (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {1000 * BUSY_S}")
    return not busy
