"""What was erased and is not yet gone from the disk: removed, scrubbed, and only then answered."""

import logging
import time
from abc import ABC, abstractmethod
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

_LOG = logging.getLogger(__name__)
PATIENCE_S = 5.0  # after this long an erasure is answered with what is pending
_FIRST_RETRY_S, _LAST_RETRY_S = 0.1, 60.0
INDEX = "index"  # of what is left to do: an engine beside the store, which needs no pushing
_LOOK_AGAIN_S = 0.02  # while others do the work


@dataclass(frozen=True)
class _Waiting:
    future: "Future[Any]"
    result: Any
    since_s: float


class Erasures(ABC):
    """The committed erasures of a store, on its writer's thread.

    One scrub serves all erasures that wait for it. After a scrub the others may write for at least as long as it took.
    What cannot be done is tried again, ever less often, until it is done; `late`: it was begun in an earlier run.
    """

    def __init__(self, *, late: bool) -> None:
        self.pending: tuple[str, ...] = ()
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
        if self.pending and (self._is_under_way() or self.pending == (INDEX,)):
            self._not_before_s = now_s + _LOOK_AGAIN_S
            self._answer([item for item in self._waiting if now_s - item.since_s >= PATIENCE_S])
        elif self.pending:
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
        started_s = time.monotonic()
        while self._unfinished:
            self.finish()
            if not self._is_under_way() or time.monotonic() - started_s >= PATIENCE_S:
                break
            time.sleep(_LOOK_AGAIN_S)
        self._answer(self._waiting)

    def _left_to_do(self) -> tuple[str, ...]:
        left = (*self._unretired(), *(() if self._scrub() else ("database",)))
        return left or (() if self._complete() else ("receipt",))

    @abstractmethod
    def _unretired(self) -> tuple[str, ...]:
        """Let the files follow that are kept beside the store; what of that is left to do."""

    @abstractmethod
    def _scrub(self) -> bool:
        """Get what was deleted out of the store's own files; whether it is."""

    @abstractmethod
    def _complete(self) -> bool:
        """Write the time into the receipts, and that nothing is due any more; whether that was kept."""

    def _is_under_way(self) -> bool:
        """Whether what is left is being done by somebody else just now."""
        return False

    def _answer(self, items: list[_Waiting]) -> None:
        self._late = self._late or bool(items and self.pending)
        for item in items:
            item.future.set_result((item.result, self.pending))
        self._waiting = [item for item in self._waiting if not item.future.done()]
