"""The store itself: readers of their own snapshot, one writer thread that commits groups of operations."""

import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from service.gallery.errors import DamageError, HomeError, StoreError
from service.gallery.sqlite.erasures import Erasures
from service.gallery.sqlite.reading import Reading
from service.gallery.sqlite.schema import check_integrity, connect, open_file
from service.gallery.sqlite.writing import Writing

_LOG = logging.getLogger(__name__)
T = TypeVar("T")
_LARGEST_GROUP = 256


def _nothing(_: Reading, __: object) -> None:
    pass


@dataclass
class _Operation:
    run: Callable[[Writing], Any]
    cameras: frozenset[str] | None
    committed: Callable[[Reading, Any], None]
    erases: bool = False
    future: "Future[Any]" = field(default_factory=Future)
    result: Any = None


class SqliteStore:
    """Records and vectors in one SQLite file. Raises HomeError for a file that is damaged or of a later version.

    Operations that wait together are committed together; each still succeeds or fails alone. Once a write has
    returned, it survives a power cut. `retire` is called on the writer thread, between transactions, after an
    erasure: it removes crops that nothing needs any more and keeps hashes of what went, and says what is left to do.
    """

    def __init__(self, path: Path, retire: Callable[[Reading], tuple[str, ...]]) -> None:
        self._path = path
        os.environ["SQLITE_TMPDIR"] = str(path.parent.absolute())  # read whenever SQLite opens a file without a name
        self._connection = open_file(path)
        try:
            check_integrity(self._connection, path)
            self.erasure_due = self._erasure_due()
        except sqlite3.Error as error:
            self._connection.close()
            raise HomeError(f"expected a SQLite store at {path}, got: {error}") from error
        except HomeError:
            self._connection.close()
            raise
        self._erasures = Erasures(self._connection, retire, late=self.erasure_due)
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._waiting: queue.SimpleQueue[_Operation | None] = queue.SimpleQueue()
        self._pace = threading.Condition()
        self._scrubbing = False
        self._writer = threading.Thread(target=self._write_groups, name="gallery-writer")
        self._writer.start()

    @property
    def pending(self) -> tuple[str, ...]:
        """What of the erasures so far is not yet gone from the disk."""
        return self._erasures.pending

    @contextmanager
    def reading(self, cameras: frozenset[str] | None = None) -> Iterator[Reading]:
        """One snapshot of the store as a caller limited to `cameras` sees it; raises StoreError, DamageError."""
        try:
            connection = self._reader()
            connection.execute("BEGIN")
        except sqlite3.Error as error:
            raise StoreError(f"the store cannot be read: {error}") from error
        try:
            yield Reading(connection, cameras)
        except sqlite3.OperationalError as error:
            raise StoreError(f"the store cannot be read: {error}") from error
        except sqlite3.DatabaseError as error:
            raise DamageError(f"expected a store that is whole, got: {error}; restore a backup") from error
        finally:
            connection.execute("ROLLBACK")
            self._idle.put(connection)

    def submit(
        self,
        operation: Callable[[Writing], T],
        cameras: frozenset[str] | None = None,
        committed: Callable[[Reading, T], None] = _nothing,
    ) -> "Future[T]":
        """Queue an operation. The future is done once it is durable and `committed` was called with its result.

        Both run on the writer thread, so nothing else is written between them. What the operation raises, the
        future raises, and nothing of it is kept.
        """
        item = _Operation(operation, cameras, committed)
        self._waiting.put(item)
        return item.future

    def write(
        self,
        operation: Callable[[Writing], T],
        cameras: frozenset[str] | None = None,
        committed: Callable[[Reading, T], None] = _nothing,
    ) -> T:
        """:meth:`submit` and wait."""
        return self.submit(operation, cameras, committed).result()

    def erase(
        self,
        operation: Callable[[Writing], T],
        cameras: frozenset[str] | None = None,
        committed: Callable[[Reading, T], None] = _nothing,
    ) -> tuple[T, tuple[str, ...]]:
        """:meth:`write`, and wait until what was deleted is gone from the disk; the result, and what is not.

        Readers never wait for that. Writers wait while the file is rewritten: SQLite has one writer.
        """
        item = _Operation(operation, cameras, committed, erases=True)
        self._waiting.put(item)
        result: tuple[T, tuple[str, ...]] = item.future.result()
        return result

    def settle(self, noted: "Future[None]") -> None:
        """Wait for a line that was submitted, but not while the file is rewritten: it is durable soon after."""
        noted.add_done_callback(self._on_noted)
        with self._pace:
            self._pace.wait_for(lambda: noted.done() or self._scrubbing)
        if noted.done():
            noted.result()

    def close(self) -> None:
        """Finish what is queued and close the file."""
        self._waiting.put(None)
        self._writer.join()
        while not self._idle.empty():
            self._idle.get().close()
        self._connection.close()

    def _erasure_due(self) -> bool:
        """Whether what an erasure deleted, before the service was killed, may still be on the disk."""
        due = self._connection.execute("SELECT value FROM counters WHERE name = 'scrub_due'").fetchone()
        return bool(due == (1,))

    def _reader(self) -> sqlite3.Connection:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return connect(self._path)

    def _on_noted(self, noted: "Future[None]") -> None:
        error = noted.exception()
        if error is not None:
            _LOG.error("a line of the audit could not be written: %s", error)
        with self._pace:
            self._pace.notify_all()

    def _write_groups(self) -> None:
        last = False
        while not last:
            group, last = self._next_group()
            if group:
                self._commit(group)
            if self._erasures.due_in_s() == 0:
                with self._letting_searches_pass():
                    self._erasures.finish()
        self._erasures.close()

    def _next_group(self) -> tuple[list[_Operation], bool]:
        """Wait for an operation, or until an erasure is due, and take all that wait; True if the store is closed."""
        group: list[_Operation] = []
        try:
            item = self._waiting.get(timeout=self._erasures.due_in_s())
            while item is not None:
                group.append(item)
                if len(group) == _LARGEST_GROUP:
                    return group, False
                item = self._waiting.get_nowait()
        except queue.Empty:
            return group, False
        return group, True

    @contextmanager
    def _letting_searches_pass(self) -> Iterator[None]:
        with self._pace:
            self._scrubbing = True
            self._pace.notify_all()
        try:
            yield
        finally:
            self._scrubbing = False

    def _commit(self, group: list[_Operation]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for item in group:
                self._run(item)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:  # the disk is full, or another process holds the file: none of it happened
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            for item in _open(group):
                item.future.set_exception(_refused(error))
        for item in _open(group):
            self._follow(item)

    def _follow(self, item: _Operation) -> None:
        """What was committed is made known; an erasure is answered later."""
        if item.erases:
            self._erasures.begin()
        try:
            item.committed(Reading(self._connection), item.result)
        except Exception as error:  # noqa: BLE001 (raised where the caller waits)
            item.future.set_exception(error)
            return
        if item.erases:
            self._erasures.wait(item.future, item.result)
        else:
            item.future.set_result(item.result)

    def _run(self, item: _Operation) -> None:
        self._connection.execute("SAVEPOINT operation")
        try:
            item.result = item.run(Writing(self._connection, item.cameras))
            if item.erases:
                Writing(self._connection).owe_scrub()
        except Exception as error:  # noqa: BLE001 (raised where the caller waits)
            self._connection.execute("ROLLBACK TO operation")
            # A disk that is full shows here as well as at the commit: to the caller it is the same refusal.
            item.future.set_exception(_refused(error) if isinstance(error, sqlite3.OperationalError) else error)
        self._connection.execute("RELEASE operation")


def _open(group: list[_Operation]) -> list[_Operation]:
    """Those that are not answered yet."""
    return [item for item in group if not item.future.done()]


def _refused(error: sqlite3.Error) -> StoreError:
    refusal = StoreError(f"the store could not write, and kept nothing: {error}")
    refusal.__cause__ = error
    return refusal
