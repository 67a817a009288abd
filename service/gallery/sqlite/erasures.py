"""What was erased and is not yet gone from the disk: removed, scrubbed, and only then answered."""

import logging
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from service.gallery.records import Moment
from service.gallery.sqlite.reading import Reading
from service.gallery.sqlite.schema import BUSY_S

_LOG = logging.getLogger(__name__)
PATIENCE_S = 5.0  # after this long an erasure is answered with what is pending
_FIRST_RETRY_S, _LAST_RETRY_S = 0.1, 60.0
_LOG_BUSY_MS = 100  # how long readers may hold the log before others get their turn


@dataclass(frozen=True)
class _Waiting:
    future: "Future[Any]"
    result: Any
    since_s: float


class Erasures:
    """The committed erasures of a store, on its writer's `connection` and thread.

    `retire` removes the crops that nothing needs any more, keeps the hashes of what went, and says what of that is left
    to do. One scrub of the file serves all erasures that wait for it. After a scrub the others may write for at least
    as long as it took. What cannot be done is tried again, ever less often, until it is done; `late`: it was begun in
    an earlier run.
    """

    def __init__(
        self, connection: sqlite3.Connection, retire: Callable[[Reading], tuple[str, ...]], *, late: bool
    ) -> None:
        self.pending: tuple[str, ...] = ()
        self._connection = connection
        self._retire = retire
        self._waiting: list[_Waiting] = []
        self._unfinished = self._unscrubbed = False
        self._late = late
        self._retry_s = _FIRST_RETRY_S
        self._not_before_s = 0.0

    def begin(self) -> None:
        """An erasure was committed: from now on there is something to do."""
        self._unfinished = self._unscrubbed = True

    def wait(self, future: "Future[Any]", result: Any) -> None:
        """Give `future` the `result`, and what is pending, once nothing is or patience ends."""
        self._waiting.append(_Waiting(future, result, time.monotonic()))

    def due_in_s(self) -> float | None:
        """How long until :meth:`finish` is to be called; None while there is nothing to do."""
        return max(0.0, self._not_before_s - time.monotonic()) if self._unfinished else None

    def finish(self) -> None:
        """Do what can be done, and answer those for whom it is done or who waited long enough."""
        started_s = time.monotonic()
        self.pending = self._left_to_do()
        now_s = time.monotonic()
        if self.pending:
            _LOG.warning("an erasure is not complete, and will be tried again: %s", ", ".join(self.pending))
            self._not_before_s = now_s + max(self._retry_s, now_s - started_s)
            self._retry_s = min(2 * self._retry_s, _LAST_RETRY_S)
            self._answer([item for item in self._waiting if now_s - item.since_s >= PATIENCE_S])
        else:
            self._unfinished = self._late = False
            self._retry_s = _FIRST_RETRY_S
            self._not_before_s = now_s + (now_s - started_s)
            self._answer(self._waiting)

    def close(self) -> None:
        """Try once more, and answer everybody; the next start does what is left."""
        if self._unfinished:
            self.finish()
        self._answer(self._waiting)

    def _left_to_do(self) -> tuple[str, ...]:
        left = (*self._unretired(), *(() if self._scrub() else ("database",)))
        return left or (() if self._complete() else ("receipt",))

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
        """Write the time into the receipts, and that nothing is due any more."""
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

    def _answer(self, items: list[_Waiting]) -> None:
        self._late = self._late or bool(items and self.pending)
        for item in items:
            item.future.set_result((item.result, self.pending))
        self._waiting = [item for item in self._waiting if not item.future.done()]
