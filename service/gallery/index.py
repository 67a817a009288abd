"""What a gallery asks of an index, and the one in memory that does without another engine."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reid.search import ExactIndex, View
from service.gallery.sqlite.reading import Reading


class Index(Protocol):
    """Vectors of one bundle by row, changed by the writer's thread alone and seen through views by any.

    It is filled from the store, which is the truth: what an index knows can be made again at any time.
    """

    @property
    def last_id(self) -> int:
        """The highest row id that was ever added; -1 before the first."""

    @property
    def state(self) -> str:
        """Where it is, and what is wrong with it, if anything."""

    @property
    def removals(self) -> int:
        """How often something was removed."""

    def has_forgotten(self, removals: int) -> bool:
        """Whether nothing of what was removed by the first so many removals is left where it keeps its vectors."""

    def view(self) -> View:
        """What is there now."""

    def through(self, view: View, reading: Reading) -> View:
        """The view with the store's vectors to score by; `reading` was begun after it was taken."""

    def add(self, row_ids: NDArray[np.int64], vectors: NDArray[np.float16]) -> None:
        """Append `vectors` (N, D) under `row_ids` (N,), rising and above all earlier ones."""

    def remove(self, row_ids: NDArray[np.int64]) -> int:
        """Take out those of `row_ids` that are there, and return how many: later searches do not find them."""

    def serve(self, name: str) -> None:
        """It is searched from now on; `name` is the gallery's, where it shares an engine with others."""

    def close(self) -> None:
        """It is searched no more."""


class MemoryIndex(ExactIndex):
    """All vectors in this process: exact, there at once, and gone with it."""

    state = "in memory"
    removals = 0  # that anybody has to wait for: no disk knows its vectors

    def has_forgotten(self, removals: int) -> bool:  # noqa: ARG002 (there is nothing to wait for)
        """As :meth:`Index.has_forgotten`."""
        return True

    def through(self, view: View, reading: Reading) -> View:  # noqa: ARG002 (it has its own)
        """As :meth:`Index.through`."""
        return view

    def serve(self, name: str) -> None:
        """There is nothing to begin."""

    def close(self) -> None:
        """There is nothing to let go of."""
