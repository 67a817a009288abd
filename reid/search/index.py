"""The exact index: rows are added and removed by one writer, and seen through views that never wait for it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.search.chunk import Chunk, rounded_up
from reid.search.device import Device
from reid.search.view import Layout, View, check_vectors

FIRST_CHUNK_ROWS = 1_024
LARGEST_CHUNK_ROWS = 32_768
_MOST_DEAD = 0.25  # share of a run of chunks that tombstones may be before the others move together


class ExactIndex:
    """Float16 rows of `dimension`, addressed by int64 row ids, for exact inner products.

    One writer may add and remove while any number of readers search through a :meth:`view`: that sees the rows
    published when it was taken. Row ids must rise and are never used again. Rows are expected to be of unit
    length, which makes their inner product with a unit query the cosine. With a `device`, searches without a filter
    go there; the answers are the same.
    """

    def __init__(self, dimension: int, device: Device | None = None) -> None:
        if dimension < 1:
            raise ValueError(f"expected a dimension of at least 1, got {dimension}")
        self.dimension = dimension
        self._device = device
        self._layout = Layout()
        self._length = 0
        self._last_id = -1
        self._view = View(dimension, self._layout, 0, device)

    @property
    def last_id(self) -> int:
        """The highest row id that was ever added; -1 before the first."""
        return self._last_id

    def view(self) -> View:
        """What is there now."""
        return self._view

    def add(self, row_ids: NDArray[np.int64], vectors: NDArray[np.float16]) -> None:
        """Append `vectors` (N, D) float16 under `row_ids` (N,) int64, rising and above all earlier ones.

        Raises VectorError for a wrong shape or values that are not finite, ValueError for ids out of order.
        """
        vectors = np.asarray(vectors, dtype=np.float16)
        check_vectors(vectors, self.dimension)
        self._check_ids(row_ids, len(vectors))
        length, end = self._length, self._length + len(vectors)
        self._make_room(end)
        for chunk, start in zip(self._layout.chunks, self._layout.starts, strict=True):
            first, last = max(length, start), min(end, start + chunk.capacity)
            if first < last:
                chunk.write(first - start, vectors[first - length : last - length])
        self._layout.ids[length:end] = row_ids
        self._layout.alive[length:end] = True
        self._last_id = int(row_ids[-1]) if len(row_ids) else self._last_id
        self._publish(self._layout, end)

    def remove(self, row_ids: NDArray[np.int64]) -> int:
        """Bury those of `row_ids` that are there and return how many: later searches do not find them.

        Where tombstones have become many, the rows between them move together, one run of chunks a call. Views taken
        before keep what they have.
        """
        positions = np.unique(self._view.positions(row_ids))
        positions = positions[self._layout.alive[positions]]
        self._layout.alive[positions] = False
        if len(positions):
            self._compact()
        return len(positions)

    def _publish(self, layout: Layout, length: int) -> None:
        self._layout, self._length = layout, length
        self._view = View(self.dimension, layout, length, self._device)

    def _make_room(self, length: int) -> None:
        """Add chunks until `length` rows fit: the first small, then doubling up to a limit."""
        layout = self._layout
        capacity = len(layout.ids)
        chunks, starts = list(layout.chunks), list(layout.starts)
        while capacity < length:
            chunks.append(Chunk(min(max(capacity, FIRST_CHUNK_ROWS), LARGEST_CHUNK_ROWS), self.dimension))
            starts.append(capacity)
            capacity += chunks[-1].capacity
        if capacity > len(layout.ids):
            more = (0, capacity - len(layout.ids))
            self._layout = Layout(tuple(chunks), tuple(starts), np.pad(layout.ids, more), np.pad(layout.alive, more))

    def _compact(self) -> None:
        """Rewrite the run of full chunks that has the most room to win as one chunk, if it is much."""
        run = max(self._runs(), key=lambda run: run.room, default=None)
        if run is None or run.room < _MOST_DEAD * run.capacity:
            return
        layout, end = self._layout, run.start + run.capacity
        kept = run.start + np.flatnonzero(layout.alive[run.start : end])
        chunk = Chunk(len(kept), self.dimension)
        chunk.write(0, self._view.vectors(kept))
        # Where the last rows of a chunk stay empty, ids go on unchanged: they must not fall.
        ids = np.pad(layout.ids[kept], (0, chunk.capacity - len(kept)), mode="edge") if len(kept) else kept
        alive = np.arange(chunk.capacity) < len(kept)
        chunks = (*layout.chunks[: run.first], *([chunk] if len(kept) else []), *layout.chunks[run.last :])
        capacities = [0, *(one.capacity for one in chunks)]
        moved = Layout(
            chunks,
            tuple(int(start) for start in np.cumsum(capacities)[:-1]),
            np.concatenate([layout.ids[: run.start], ids, layout.ids[end:]]),
            np.concatenate([layout.alive[: run.start], alive, layout.alive[end:]]),
        )
        self._publish(moved, self._length - run.capacity + chunk.capacity)

    def _runs(self) -> list["_Run"]:
        """The full chunks in order, as many together as fit into one."""
        runs: list[_Run] = []
        for number, (chunk, start) in enumerate(zip(self._layout.chunks, self._layout.starts, strict=True)):
            end = start + chunk.capacity
            if end > self._length:
                break
            live = int(np.count_nonzero(self._layout.alive[start:end]))
            if runs and runs[-1].live + live <= LARGEST_CHUNK_ROWS:
                run = runs.pop()
                runs.append(_Run(run.first, number + 1, run.start, run.capacity + chunk.capacity, run.live + live))
            else:
                runs.append(_Run(number, number + 1, start, chunk.capacity, live))
        return runs

    def _check_ids(self, row_ids: NDArray[np.int64], expected: int) -> None:
        if len(row_ids) != expected:
            raise ValueError(f"expected {expected} row ids, got {len(row_ids)}")
        if np.any(np.diff(row_ids, prepend=self._last_id) <= 0):
            raise ValueError("expected row ids that rise and were never used, got others")


@dataclass(frozen=True)
class _Run:
    """The chunks from `first` to before `last`: where their rows begin, how many fit, and how many are alive."""

    first: int
    last: int
    start: int
    capacity: int
    live: int

    @property
    def room(self) -> int:
        """Rows that a chunk of just the living would save."""
        return self.capacity - rounded_up(self.live)
