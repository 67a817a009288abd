"""Erasures in a SQLite file: all of it is this process's own."""

import logging
import sqlite3

from service.gallery.erasures import Erasures, Round

_LOG = logging.getLogger(__name__)


class SqliteErasures(Erasures):
    """Those of a store that one service has."""

    def _elsewhere(self, round_: Round) -> tuple[str, ...]:  # noqa: ARG002 (another store's)
        return ()

    def _complete(self, round_: Round) -> bool:
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                self._write_receipts(self._connection, round_, is_all=round_.number == self._cleanup.noted)
        except sqlite3.Error as error:
            _LOG.error("a receipt could not be written: %s", error)
            return False
        return True
