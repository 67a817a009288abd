"""Erasures in a SQLite file: rewritten, and its log emptied."""

import logging
import sqlite3
from collections.abc import Callable

from service.gallery.erasures import Erasures
from service.gallery.records import Moment
from service.gallery.sqlite.reading import Reading
from service.gallery.sqlite.schema import BUSY_S

_LOG = logging.getLogger(__name__)
_LOG_BUSY_MS = 100  # how long readers may hold the log before others get their turn


class SqliteErasures(Erasures):
    """Those of a store whose writer has `connection`.

    `retire` removes the crops that nothing needs any more, keeps the hashes of what went, and says what of that is left
    to do.
    """

    def __init__(
        self, connection: sqlite3.Connection, retire: Callable[[Reading], tuple[str, ...]], *, late: bool
    ) -> None:
        super().__init__(late=late)
        self._connection = connection
        self._retire = retire

    def _unretired(self) -> tuple[str, ...]:
        try:
            return self._retire(Reading(self._connection))
        except sqlite3.Error as error:
            _LOG.error("the store does not say which crops are in use: %s", error)
            return ("crops",)

    def _scrub(self) -> bool:
        """Rewrite the file and empty its log, so that nothing erased is left in either.

        secure_delete overwrites what is deleted, but not the copies that SQLite leaves in the gaps of its pages
        when it splits and merges them; neither does an incremental vacuum, which moves pages with their gaps.
        """
        try:
            if self._unscrubbed:
                self._rewrite()
                self._unscrubbed = False
            return self._empty_log()
        except sqlite3.Error as error:
            _LOG.error("the store could not be scrubbed: %s", error)
            return False

    def _rewrite(self) -> None:
        """VACUUM over a file without a name beside the store: in memory it would take as much as the store is large."""
        self._connection.execute("PRAGMA temp_store = FILE")
        try:
            self._connection.execute("VACUUM")
        finally:
            self._connection.execute("PRAGMA temp_store = MEMORY")

    def _empty_log(self) -> bool:
        self._connection.execute(f"PRAGMA busy_timeout = {_LOG_BUSY_MS}")
        try:
            (busy, *_) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {1000 * BUSY_S}")
        return not busy

    def _complete(self) -> bool:
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._connection.execute(
                    "UPDATE receipts SET completed_at_us = ?, late = ? WHERE completed_at_us IS NULL",
                    (Moment.now().us, self._late),
                )
                self._connection.execute("UPDATE counters SET value = 0 WHERE name = 'scrub_due'")
        except sqlite3.Error as error:
            _LOG.error("a receipt could not be written: %s", error)
            return False
        return True
