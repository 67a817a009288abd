"""What this process itself keeps of a gallery: its tables, the files beside them, its index; erasures pass through."""

import logging
import sqlite3
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from service.gallery.errors import StoreError
from service.gallery.sqlite.reading import Reading
from service.gallery.sqlite.scrub import empty_log, rewrite

_LOG = logging.getLogger(__name__)
INDEX = "index"  # of what is left to do: an engine beside the store, which needs no pushing
Mark = tuple[int, int]  # where an index was: which one, and how often something had been removed from it


@dataclass(frozen=True)
class Beside:
    """What is kept beside a store's tables.

    `retire` lets files follow what the tables lost and says what of that is left to do. What the index had to remove by
    `mark()` is gone from wherever it keeps its vectors once `is_forgotten(mark)`.
    """

    retire: Callable[[Reading], tuple[str, ...]]
    mark: Callable[[], Mark]
    is_forgotten: Callable[[Mark], bool]


class Cleanup:
    """Counts the erasures in the tables of `connection`, and says of how many nothing is left in this process's reach.

    For the writer's thread. An erasure never waits for a later one: the index may be forgetting without end.
    """

    def __init__(self, connection: sqlite3.Connection, beside: Beside) -> None:
        self._connection = connection
        self._beside = beside
        self.noted = 0
        self.gone = 0
        self._cleaned = 0  # of so many nothing is left but, perhaps, in the index
        self._rewritten = 0
        self._forgetting: deque[tuple[int, Mark]] = deque()

    def note(self) -> int:
        """One more was committed; its number."""
        self.noted += 1
        return self.noted

    def work(self) -> tuple[str, ...]:
        """Do what can be done just now; what is left of all that were noted."""
        left = self._clean() if self._cleaned < self.noted else ()
        while self._forgetting and self._beside.is_forgotten(self._forgetting[0][1]):
            self.gone, _ = self._forgetting.popleft()
        return (*left, INDEX) if self._forgetting else left

    def _clean(self) -> tuple[str, ...]:
        left = (*self._unretired(), *(() if self._is_scrubbed() else ("database",)))
        if not left:
            self._cleaned = self.noted
            self._forgetting.append((self.noted, self._beside.mark()))
        return left

    def _unretired(self) -> tuple[str, ...]:
        try:
            return self._beside.retire(Reading(self._connection))
        except (sqlite3.Error, StoreError) as error:
            _LOG.error("the store does not say which crops are in use: %s", error)
            return ("crops",)

    def _is_scrubbed(self) -> bool:
        try:
            if self._rewritten < self.noted:
                rewrite(self._connection)
                self._rewritten = self.noted
            return empty_log(self._connection)
        except sqlite3.Error as error:
            _LOG.error("the store could not be scrubbed: %s", error)
            return False
