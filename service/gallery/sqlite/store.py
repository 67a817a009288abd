"""The store itself: readers of their own snapshot, one writer thread that commits groups of operations."""

import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from service.gallery.errors import HomeError, StoreError
from service.gallery.records import Moment
from service.gallery.sqlite.reading import Reading
from service.gallery.sqlite.schema import connect, migrate
from service.gallery.sqlite.writing import Writing

T = TypeVar("T")
_LARGEST_GROUP = 256
_ANSWERS_KEPT_DAYS = 7


@dataclass
class _Operation:
    run: Callable[[Writing], Any]
    cameras: frozenset[str] | None
    committed: Callable[[Any], None]
    erases: bool
    future: "Future[Any]" = field(default_factory=Future)
    result: Any = None


class SqliteStore:
    """Records and vectors in one SQLite file. Raises HomeError for a file that is damaged or of a later version.

    Operations that wait together are committed together; each still succeeds or fails alone. Once a write has
    returned, it survives a power cut.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._connection = connect(path)
            migrate(self._connection)
            self._finish_erasures()
            self._forget_old_answers()
        except sqlite3.Error as error:
            raise HomeError(f"expected a SQLite store at {path}, got: {error}") from error
        self._path = path
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._waiting: queue.SimpleQueue[_Operation | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_groups, name="gallery-writer")
        self._writer.start()

    @contextmanager
    def reading(self, cameras: frozenset[str] | None = None) -> Iterator[Reading]:
        """One snapshot of the store as a caller limited to `cameras` sees it."""
        connection = self._reader()
        try:
            connection.execute("BEGIN")
            yield Reading(connection, cameras)
        finally:
            connection.execute("ROLLBACK")
            self._idle.put(connection)

    def submit(
        self,
        operation: Callable[[Writing], T],
        cameras: frozenset[str] | None = None,
        committed: Callable[[T], None] = lambda _: None,
        *,
        erases: bool = False,
    ) -> "Future[T]":
        """Queue an operation. The future is done once it is durable and `committed` was called with its result.

        Both run on the writer thread, so nothing else is written between them. What the operation raises, the
        future raises, and nothing of it is kept. With `erases`, the future also waits until what was deleted is
        gone from the disk.
        """
        item = _Operation(operation, cameras, committed, erases)
        self._waiting.put(item)
        return item.future

    def write(
        self,
        operation: Callable[[Writing], T],
        cameras: frozenset[str] | None = None,
        committed: Callable[[T], None] = lambda _: None,
        *,
        erases: bool = False,
    ) -> T:
        """:meth:`submit` and wait."""
        return self.submit(operation, cameras, committed, erases=erases).result()

    def close(self) -> None:
        """Finish what is queued and close the file."""
        self._waiting.put(None)
        self._writer.join()
        while not self._idle.empty():
            self._idle.get().close()
        self._connection.close()

    def _finish_erasures(self) -> None:
        """What an erasure deleted before the service was killed may still be on the disk."""
        due = self._connection.execute("SELECT value FROM counters WHERE name = 'scrub_due'").fetchone()
        failure = self._scrub() if due == (1,) else None
        if failure is not None:
            raise failure

    def _forget_old_answers(self) -> None:
        """A client that repeats a request does so within days."""
        oldest = Moment.now().us - _ANSWERS_KEPT_DAYS * 86_400_000_000
        self._connection.execute("DELETE FROM idempotency WHERE created_at_us < ?", (oldest,))

    def _reader(self) -> sqlite3.Connection:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return connect(self._path)

    def _write_groups(self) -> None:
        last = False
        while not last:
            group, last = self._next_group()
            if group:
                self._commit(group)

    def _next_group(self) -> tuple[list[_Operation], bool]:
        """Wait for an operation and take all that wait with it; True where the store is being closed."""
        group: list[_Operation] = []
        item = self._waiting.get()
        while item is not None:
            group.append(item)
            if self._waiting.empty() or len(group) == _LARGEST_GROUP:
                return group, False
            item = self._waiting.get()
        return group, True

    def _commit(self, group: list[_Operation]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for item in group:
                self._run(item)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:  # the disk is full, or another process holds the file: none of it happened
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            for item in group:
                if not item.future.done():
                    item.future.set_exception(_refused(error))
        self._acknowledge([item for item in group if not item.future.done()])

    def _acknowledge(self, group: list[_Operation]) -> None:
        for item in group:
            _follow(item)
        done = [item for item in group if not item.future.done()]
        failure = self._scrub() if any(item.erases for item in done) else None
        for item in done:
            if failure is not None and item.erases:
                item.future.set_exception(failure)
            else:
                item.future.set_result(item.result)

    def _scrub(self) -> StoreError | None:
        """Rewrite the file and empty its log, so that nothing erased is left in either; the error if that failed.

        secure_delete overwrites what is deleted, but not the copies that SQLite leaves in the gaps of its pages
        when it splits and merges them.
        """
        try:
            self._connection.execute("VACUUM")
            (busy, *_) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                self._connection.execute("UPDATE counters SET value = 0 WHERE name = 'scrub_due'")
        except sqlite3.Error as error:
            return StoreError(f"erased, but its traces could not be removed yet: {error}")
        return StoreError("erased, but its traces are still in the log: a reader held it for 30 s") if busy else None

    def _run(self, item: _Operation) -> None:
        self._connection.execute("SAVEPOINT operation")
        try:
            item.result = item.run(Writing(self._connection, item.cameras))
            if item.erases:
                self._connection.execute("UPDATE counters SET value = 1 WHERE name = 'scrub_due'")
        except Exception as error:  # noqa: BLE001 (raised where the caller waits)
            self._connection.execute("ROLLBACK TO operation")
            item.future.set_exception(error)
        self._connection.execute("RELEASE operation")


def _refused(error: sqlite3.Error) -> StoreError:
    refusal = StoreError(f"the store could not write, and kept nothing: {error}")
    refusal.__cause__ = error
    return refusal


def _follow(item: _Operation) -> None:
    try:
        item.committed(item.result)
    except Exception as error:  # noqa: BLE001 (raised where the caller waits)
        item.future.set_exception(error)
