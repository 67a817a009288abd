"""The SQLite store: one file on the disk of one machine."""

import queue
import sqlite3
from pathlib import Path

from service.gallery.cleanup import Beside, Cleanup
from service.gallery.errors import HomeError
from service.gallery.sqlite.erasures import SqliteErasures
from service.gallery.sqlite.schema import check_integrity, connect, open_file
from service.gallery.sqlite.scrub import keep_scratch_in
from service.gallery.store import Operation, Store, refused


class SqliteStore(Store):
    """Records and vectors in one SQLite file. Raises HomeError for a file that is damaged or of a later version.

    Once a write has returned, it survives a power cut. What is `beside` follows an erasure on the writer thread,
    between transactions.
    """

    durability = "a power cut"

    def __init__(self, path: Path, beside: Beside) -> None:
        self._path = path
        keep_scratch_in(path.parent)
        connection = open_file(path)
        try:
            check_integrity(connection, path)
            due = connection.execute("SELECT value FROM counters WHERE name = 'scrub_due'").fetchone() == (1,)
        except sqlite3.Error as error:
            connection.close()
            raise HomeError(f"expected a SQLite store at {path}, got: {error}") from error
        except HomeError:
            connection.close()
            raise
        erasures = SqliteErasures(connection, Cleanup(connection, beside), late=due)
        super().__init__(connection, erasures, erasure_due=due)

    def _reader(self) -> sqlite3.Connection:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return connect(self._path)

    def _commit(self, group: list[Operation]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for item in group:
                self._run(item)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:  # the disk is full, or another process holds the file: none of it happened
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            for item in group:
                item.error = item.error or refused(error)
        for item in group:
            self._follow(item)
