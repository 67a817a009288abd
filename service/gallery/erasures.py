"""What was erased and is not yet gone from the disk: removed, scrubbed, and only then answered."""

import logging
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from service.gallery.cleanup import INDEX, Cleanup
from service.gallery.records import Moment, made_at_us

_LOG = logging.getLogger(__name__)
PATIENCE_S = 5.0  # after this long an erasure is answered with what is pending
_FIRST_RETRY_S, _LAST_RETRY_S = 0.1, 60.0
_IN_TIME_US = 1_000_000  # surely before patience ended, whatever the clock of the service that erased
_LOOK_AGAIN_S = 0.02  # while others do the work


@dataclass(frozen=True)
class _Waiting:
    number: int  # of the erasure
    future: "Future[Any]"
    result: Any
    since_s: float


@dataclass(frozen=True)
class Round:
    """The erasures up to a number, which are finished together, and the receipts that say so."""

    number: int
    receipts: Sequence[str]


class Erasures(ABC):
    """The committed erasures of a store, on its writer's thread.

    One scrub serves all erasures that wait for it. After a scrub the others may write for at least as long as it took.
    What cannot be done is tried again, ever less often, until it is done; `late`: it was begun in an earlier run.
    `connection` is the writer's.
    """

    def __init__(self, connection: sqlite3.Connection, cleanup: Cleanup, *, late: bool) -> None:
        self.pending: tuple[str, ...] = ()
        self._connection = connection
        self._cleanup = cleanup
        self._waiting: list[_Waiting] = []
        self._round: Round | None = None
        self._unfinished = False
        self._last = 0  # the number of the last erasure that is to be finished here
        self._late = late
        self._retry_s = _FIRST_RETRY_S
        self._not_before_s = 0.0

    def begin(self) -> None:
        """An erasure was committed: from now on there is something to do."""
        self._cleanup.note()
        self._owe()

    def wait(self, future: "Future[Any]", result: Any) -> None:
        """Give `future` the `result`, and what is pending, once nothing is or patience ends."""
        self._waiting.append(_Waiting(self._cleanup.noted, future, result, time.monotonic()))

    def due_in_s(self) -> float | None:
        """How long until :meth:`finish` is to be called; None while there is nothing to do."""
        if not self._unfinished:
            return None
        due_s = self._not_before_s
        if self._retry_s > _FIRST_RETRY_S and self._waiting:  # a try failed: nobody waits for a minute for the next
            due_s = min(due_s, self._waiting[0].since_s + PATIENCE_S)
        return max(0.0, due_s - time.monotonic())

    def finish(self) -> None:
        """Do what can be done, and answer those for whom it is done or who waited long enough."""
        started_s = time.monotonic()
        left = self._left_to_do()
        now_s = time.monotonic()
        if not left:
            self._end_round()
            self._not_before_s = now_s + (now_s - started_s)
            return
        self.pending = left
        if self._is_under_way() or left == (INDEX,):
            self._not_before_s = now_s + max(_LOOK_AGAIN_S, now_s - started_s)
        else:
            _LOG.warning("an erasure is not complete, and will be tried again: %s", ", ".join(left))
            self._not_before_s = now_s + max(self._retry_s, now_s - started_s)
            self._retry_s = min(2 * self._retry_s, _LAST_RETRY_S)
        self._answer(lambda item: now_s - item.since_s >= PATIENCE_S)

    def close(self) -> None:
        """Try once more, and answer everybody; the next start does what is left."""
        started_s = time.monotonic()
        while self._unfinished:
            self.finish()
            if not self._is_under_way() or time.monotonic() - started_s >= PATIENCE_S:
                break
            time.sleep(_LOOK_AGAIN_S)
        self._answer(lambda _: True)

    def give_up(self) -> None:
        """Answer everybody that it is not done; the next start does it."""
        self.pending = self.pending or ("database",)
        self._answer(lambda _: True)

    def _owe(self) -> None:
        self._unfinished, self._last = True, self._cleanup.noted

    def _left_to_do(self) -> tuple[str, ...]:
        left = self._cleanup.work()
        try:
            round_ = self._round = self._round or Round(self._cleanup.noted, self._open_receipts())
        except sqlite3.Error as error:
            _LOG.error("the store does not say which receipts are open: %s", error)
            return ("database",)
        if self._cleanup.gone >= round_.number:
            left = self._elsewhere(round_)
        return left or (() if self._complete(round_) else ("receipt",))

    def _end_round(self) -> None:
        """Those of it are answered; what was erased meanwhile takes another."""
        assert self._round is not None
        number, self._round = self._round.number, None
        self.pending = ()
        self._answer(lambda item: item.number <= number)
        self._retry_s = _FIRST_RETRY_S
        if self._last > number:
            self.pending = ("database",)
        else:
            self._unfinished = self._late = False

    @abstractmethod
    def _elsewhere(self, round_: Round) -> tuple[str, ...]:
        """Get what was deleted out of whatever is not this process's own; what of that is left to do."""

    @abstractmethod
    def _complete(self, round_: Round) -> bool:
        """:meth:`_write_receipts`; whether that was kept."""

    def _is_under_way(self) -> bool:
        """Whether what is left is being done by somebody else just now."""
        return False

    def _open_receipts(self) -> list[str]:
        found = self._connection.execute("SELECT receipt_id FROM receipts WHERE completed_at_us IS NULL")
        return [receipt_id for (receipt_id,) in found]

    def _write_receipts(self, connection: sqlite3.Connection, round_: Round, *, is_all: bool) -> None:
        """Write the time into the receipts, and that nothing is due any more where that `is_all` there was.

        Whichever service does so: who may have been answered before is given the receipt again.
        """
        now_us = Moment.now().us
        late = [self._late or now_us - made_at_us(receipt_id) >= _IN_TIME_US for receipt_id in round_.receipts]
        connection.executemany(
            "UPDATE receipts SET completed_at_us = ?, late = ? WHERE receipt_id = ? AND completed_at_us IS NULL",
            [(now_us, is_late, receipt_id) for is_late, receipt_id in zip(late, round_.receipts, strict=True)],
        )
        if is_all:
            connection.execute("UPDATE counters SET value = 0 WHERE name = 'scrub_due'")

    def _answer(self, whom: Callable[[_Waiting], bool]) -> None:
        items = [item for item in self._waiting if whom(item)]
        self._late = self._late or bool(items and self.pending)
        for item in items:
            item.future.set_result((item.result, self.pending))
        self._waiting = [item for item in self._waiting if not item.future.done()]
