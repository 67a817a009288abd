"""A store: readers of their own snapshot, one writer thread that commits groups of operations."""

import itertools
import logging
import queue
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from reid.errors import ReidError
from service.gallery.erasures import Erasures
from service.gallery.errors import DamageError, StoreError
from service.gallery.sqlite.reading import Reading
from service.gallery.sqlite.writing import Writing

_LOG = logging.getLogger(__name__)
T = TypeVar("T")


def _nothing(_: Reading, __: object) -> None:
    pass


def nothing(_: Writing) -> None:
    """A transaction for what follows it alone."""


@dataclass(frozen=True)
class News:
    """What others wrote into the same store: the rows of sightings that went, and (N,) of those that have new vectors.

    With `everything`, any other row may have changed, too; with `erases`, some of it was an erasure.
    """

    removed: NDArray[np.int64]
    embedded: NDArray[np.int64]
    everything: bool
    erases: bool


@dataclass
class Operation:
    """What one caller wants written, and whom to tell."""

    run: Callable[[Writing], Any]
    cameras: frozenset[str] | None = None
    committed: Callable[[Reading, Any], None] = _nothing
    erases: bool = False
    future: "Future[Any]" = field(default_factory=Future)
    result: Any = None
    error: Exception | None = None


class Store(ABC):
    """Records and vectors as SQLite tables; what makes a write durable is each store's own.

    Operations that wait together are committed together; each still succeeds or fails alone. Once a write has
    returned, it is durable. `connection` is the writer thread's.
    """

    home_id = ""  # who does the jobs and calls the webhooks that were asked for here; one service has no need of a name
    largest_group = 256

    def __init__(self, connection: sqlite3.Connection, erasures: Erasures, *, erasure_due: bool) -> None:
        self.erasure_due = erasure_due
        self.failure: StoreError | None = None  # why nothing is written
        self._connection = connection
        self._erasures = erasures
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._waiting: queue.SimpleQueue[Operation | None] = queue.SimpleQueue()
        self._pace = threading.Condition()
        self._scrubbing = False
        self._group: list[Operation] = []  # that is being written
        self._writer = threading.Thread(target=self._write_or_refuse, name="gallery-writer")
        self._writer.start()

    @property
    @abstractmethod
    def durability(self) -> str:
        """What an acknowledged write survives."""

    @property
    def pending(self) -> tuple[str, ...]:
        """What of the erasures so far is not yet gone from the disk."""
        return self._erasures.pending

    @contextmanager
    def reading(self, cameras: frozenset[str] | None = None) -> Iterator[Reading]:
        """One snapshot of the store as a caller limited to `cameras` sees it; raises StoreError, DamageError."""
        self._check_open()
        try:
            connection = self._reader()
        except sqlite3.Error as error:
            raise StoreError(f"the store cannot be read: {error}") from error
        try:
            connection.execute("BEGIN")
            yield Reading(connection, cameras)
        except sqlite3.OperationalError as error:
            raise StoreError(f"the store cannot be read: {error}") from error
        except sqlite3.DatabaseError as error:
            raise DamageError(f"expected a store that is whole, got: {error}; restore a backup") from error
        finally:
            try:
                if connection.in_transaction:  # a disk that fails may have ended it
                    connection.execute("ROLLBACK")
            finally:
                self._idle.put(connection)

    def submit(
        self,
        operation: Callable[[Writing], T],
        cameras: frozenset[str] | None = None,
        committed: Callable[[Reading, T], None] = _nothing,
    ) -> "Future[T]":
        """Queue an operation. The future is done once it is durable and `committed` was called with its result.

        Both run on the writer thread, so nothing else is written between them. What the operation raises, the
        future raises, and nothing of it is kept. A store that was closed before is a StoreError, here too.
        """
        return self._queue(Operation(operation, cameras, committed))

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
        result: tuple[T, tuple[str, ...]] = self._queue(Operation(operation, cameras, committed, erases=True)).result()
        return result

    def count_request(self, key_id: str, per_minute: int) -> float | None:  # noqa: ARG002 (each store's own)
        """Count a request with all services': 0, or how many seconds it comes too early; None where there is just one.

        A key may make `per_minute` requests at once and in the long run.
        """
        return None

    def heard(self) -> frozenset[str]:
        """The homes of all services that were heard of just now; raises StoreError."""
        return frozenset({self.home_id})

    def settle(self, noted: "Future[None]") -> None:
        """Wait for a line that was submitted, but not while the file is rewritten: it is durable soon after."""
        noted.add_done_callback(self._on_noted)
        with self._pace:
            self._pace.wait_for(lambda: noted.done() or self._scrubbing)
        if noted.done():
            noted.result()

    def check_writes(self) -> None:
        """Raise why nothing is written, if that is so: StoreError, and DamageError where only a start mends it."""
        failure = self.failure
        if failure is not None:
            raise _anew(failure)

    def close(self) -> None:
        """Finish what is queued and close the file; what comes later is refused."""
        for _ in range(2):  # the second is for a writer that failed over the first
            self._waiting.put(None)
        self._writer.join()
        self._refuse_waiting()
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()
        self._connection.close()

    @abstractmethod
    def _reader(self) -> sqlite3.Connection:
        """A connection that nobody else reads with."""

    @abstractmethod
    def _commit(self, group: list[Operation]) -> None:
        """Make what they write durable, each whole or not at all, and :meth:`_follow` each."""

    def look_soon(self) -> None:  # noqa: B027 (where nobody else writes there is nothing to look for)
        """Do not wait with what others may have written."""

    def _due_in_s(self) -> float | None:
        """How long the writer may wait for an operation; None: for as long as it takes."""
        return self._erasures.due_in_s()

    def _look_around(self) -> None:  # noqa: B027 (as above)
        """On the writer's thread, between groups."""

    def _queue(self, item: Operation) -> "Future[Any]":
        self._waiting.put(item)
        if not self._writer.is_alive():  # its end may have come between: then whoever sees it first refuses
            self._refuse_waiting()
        return item.future

    def _refuse_waiting(self) -> None:
        """Tell those whom no writer will answer any more."""
        with suppress(queue.Empty):
            while True:
                item = self._waiting.get_nowait()
                if item is not None:
                    item.future.set_exception(_closed())

    def _check_open(self) -> None:
        if not self._writer.is_alive():
            raise _closed()

    def _on_noted(self, noted: "Future[None]") -> None:
        error = noted.exception()
        if error is not None:
            _LOG.error("a line of the audit could not be written: %s", error)
        with self._pace:
            self._pace.notify_all()

    def _write_or_refuse(self) -> None:
        """Write until the store is closed; after a failure that nobody thought of, nothing more: all are told."""
        try:
            self._write_groups()
        except Exception as error:  # noqa: BLE001 (raised where callers wait)
            _LOG.critical("nothing is written any more", exc_info=True)
            self.failure = DamageError(
                f"expected a writer that works, got: {error!r}; what waited may have been kept: start the service"
                " again, and ask with the same Idempotency-Key"
            )
            self._erasures.give_up()
            for item in itertools.chain(self._group, iter(self._waiting.get, None)):
                if not item.future.done():
                    item.future.set_exception(_anew(self.failure))

    def _write_groups(self) -> None:
        last = False
        while not last:
            self._group, last = self._next_group()
            if self._group:
                self._commit(self._group)
                self._group = []
            self._look_around()
            if self._erasures.due_in_s() == 0:
                with self._letting_searches_pass():
                    self._erasures.finish()
        self._erasures.close()

    def _next_group(self) -> tuple[list[Operation], bool]:
        """Wait for an operation, or until an erasure is due, and take all that wait; True if the store is closed."""
        group: list[Operation] = []
        try:
            item = self._waiting.get(timeout=self._due_in_s())
            while item is not None:
                group.append(item)
                if len(group) == self.largest_group:
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

    def _follow(self, item: Operation) -> None:
        """What was committed, or refused, is made known; an erasure is answered later.

        Raises what nobody thought of: what is searched may not be what is kept any more.
        """
        if item.error is not None:
            item.future.set_exception(item.error)
            return
        if item.erases:
            self._erasures.begin()
        try:
            item.committed(Reading(self._connection), item.result)
        except Exception as error:
            item.future.set_exception(error)
            if isinstance(error, ReidError | sqlite3.Error):
                return
            raise
        if item.erases:
            self._erasures.wait(item.future, item.result)
        else:
            item.future.set_result(item.result)

    def _run(self, item: Operation) -> None:
        """Run one inside the transaction that is open; what it raises is kept for its caller, and undone."""
        self._connection.execute("SAVEPOINT operation")
        try:
            item.result = item.run(Writing(self._connection, item.cameras))
            if item.erases:
                Writing(self._connection).owe_scrub()
        except Exception as error:  # noqa: BLE001 (raised where the caller waits)
            self._connection.execute("ROLLBACK TO operation")
            # A disk that is full shows here as well as at the commit: to the caller it is the same refusal.
            item.error = refused(error) if isinstance(error, sqlite3.OperationalError) else error
        self._connection.execute("RELEASE operation")


def _anew(failure: StoreError) -> StoreError:
    """One for each caller: an error that is raised again and again grows with every traceback."""
    return type(failure)(str(failure))


def _closed() -> StoreError:
    return StoreError("expected a store that is open, got one that was closed before")


def refused(error: Exception) -> StoreError:
    """What a caller is told of a write of which nothing was kept."""
    refusal = StoreError(f"the store could not write, and kept nothing: {error}")
    refusal.__cause__ = error
    return refusal
