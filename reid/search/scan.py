"""Candidates: the rows of which a half-precision scan cannot say that they are outside the best."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import faiss
import numpy as np
from numpy.typing import NDArray

from reid.search.chunk import WORKERS, Chunk, HighRows

# What is added up in float32 is off by at most this for each number added, in whatever order.
EPSILON = float(np.finfo(np.float32).eps)

_GATHER_BELOW = 0.1  # share of a chunk's rows: fewer than that are copied together rather than skipped to
_COPIED_ROWS = 1_024  # at once: they stay in a core's cache
_SHARE_ROWS = 4_096  # enough to be worth a thread
_OWN = threading.local()


@dataclass(frozen=True)
class Part:
    """A chunk, the position of its first row, and which of its rows (up to capacity,) to look at."""

    chunk: Chunk
    start: int
    here: NDArray[np.bool_]
    count: int  # of them

    def gathers(self, below: float) -> bool:
        """Whether so few rows are to be looked at that they are better copied out of the chunk."""
        return self.count < below * len(self.here)


@dataclass(frozen=True)
class Candidates:
    """Rows that may be among the best: of which query (C,), where (C,), and their approximate scores (C,)."""

    queries: NDArray[np.int64]
    positions: NDArray[np.int64]
    scores: NDArray[np.float32]

    @classmethod
    def joined(cls, some: "Sequence[Candidates]") -> "Candidates":
        """All of them together."""
        return cls(
            np.concatenate([np.empty(0, np.int64), *(one.queries for one in some)]),
            np.concatenate([np.empty(0, np.int64), *(one.positions for one in some)]),
            np.concatenate([np.empty(0, np.float32), *(one.scores for one in some)]),
        )

    def above(self, floors: NDArray[np.float32]) -> "Candidates":
        """Those whose score is at least that of `floors` (Q,) for their query."""
        near = self.scores >= floors[self.queries]
        return Candidates(self.queries[near], self.positions[near], self.scores[near])


def longest_rows(parts: Sequence[Part]) -> tuple[float, float]:
    """The length of the longest row, and of the most that `high` leaves of any."""
    longest = max((part.chunk.longest for part in parts), default=0.0)
    return longest, max((part.chunk.longest_rest for part in parts), default=0.0)


def scan(parts: Sequence[Part], queries: NDArray[np.float32], top_k: int) -> Candidates:
    """Candidates of few `queries` (Q, D): each reads every row once, on all processors.

    A score here is off by at most `error`: |q·(v − high)| ≤ ‖q‖·‖v − high‖, and what float32 adds. If the true
    k-th best score is S, k rows score at least S − error here; so a row that is among the true best scores at least
    the k-th best score here, less twice the error.
    """
    longest, rest = longest_rows(parts)
    margins = 2 * np.linalg.norm(queries, axis=1) * (rest + (queries.shape[1] + 2) * EPSILON * longest)
    jobs = [
        partial(_near_best, some, number, query, top_k, float(margins[number]))
        for number, query in enumerate(queries)
        for some in _shares(parts)
    ]
    candidates = Candidates.joined(_done(jobs, sum(part.count for part in parts)))
    kth = [kth_best(candidates.scores[candidates.queries == number], top_k) for number in range(len(queries))]
    return candidates.above((kth - margins).astype(np.float32))


def _done(jobs: Sequence[Callable[[], Candidates]], rows: int) -> list[Candidates]:
    """The results of the jobs: on all processors if there is enough to do, else here."""
    if len(jobs) > 1 and rows >= _SHARE_ROWS:
        return list(WORKERS.map(_call, jobs))
    threads_before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        return [job() for job in jobs]
    finally:
        faiss.omp_set_num_threads(threads_before)


def _call(job: Callable[[], Candidates]) -> Candidates:
    return job()


def _shares(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """What one thread scans: a chunk of which most is wanted, or several of which little is."""
    sparse: list[Part] = []
    for part in parts:
        if not part.gathers(_GATHER_BELOW):
            yield [part]
            continue
        sparse.append(part)
        if sum(one.count for one in sparse) >= _SHARE_ROWS:
            yield sparse
            sparse = []
    if sparse:
        yield sparse


@dataclass(frozen=True)
class _Rows:
    """Rows that lie together: `count` of them are to be looked at (`keep`; None: all).

    `positions` says where each comes from; None: they lie in place, from `start` on.
    """

    rows: HighRows
    keep: NDArray[np.bool_] | None
    count: int
    start: int = 0
    positions: NDArray[np.int64] | None = None

    def positions_of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the rows at `places` are in the index."""
        return places + self.start if self.positions is None else self.positions[places]


def _laid_together(parts: Sequence[Part]) -> Iterator[_Rows]:
    """The wanted rows of `parts`: in place if most of a chunk is wanted, else copied, as many as the cache holds."""
    if not parts[0].gathers(_GATHER_BELOW):
        (part,) = parts
        keep = None if part.count == part.chunk.capacity else part.here
        yield _Rows(part.chunk, keep, part.count, part.start)
        return
    rows = _scratch(parts[0].chunk.high.shape[1])
    positions, end = np.empty(_COPIED_ROWS, np.int64), 0
    for part in parts:
        offsets = np.flatnonzero(part.here)
        while len(offsets):
            some, offsets = offsets[: _COPIED_ROWS - end], offsets[_COPIED_ROWS - end :]
            at = slice(end, end + len(some))
            np.take(part.chunk.high, some, axis=0, out=rows.high[at], mode="clip")
            positions[at] = part.start + some
            end = at.stop
            if end == _COPIED_ROWS:
                yield _Rows(rows, None, end, positions=positions)
                end = 0
    if end:
        yield _Rows(rows, np.arange(_COPIED_ROWS) < end, end, positions=positions)


def _scratch(dimension: int) -> HighRows:
    """This thread's own room for copied rows: new memory for every search would cost more than the search."""
    rows: HighRows | None = getattr(_OWN, "rows", None)
    if rows is None or rows.high.shape[1] != dimension:
        rows = _OWN.rows = HighRows(_COPIED_ROWS, dimension)
    return rows


def _near_best(parts: Sequence[Part], number: int, query: NDArray[np.float32], top_k: int, margin: float) -> Candidates:
    found = [_near_best_of(rows, number, query, top_k, margin) for rows in _laid_together(parts)]
    return Candidates.joined(found)


def _near_best_of(rows: _Rows, number: int, query: NDArray[np.float32], top_k: int, margin: float) -> Candidates:
    """The best of some rows, deep enough that what FAISS leaves out is below the margin."""
    depth = top_k + max(8, top_k // 2)
    while True:
        scores, places = rows.rows.search(query, min(depth, rows.count), rows.keep)
        if depth >= rows.count or scores[-1] < scores[top_k - 1] - margin:
            break
        depth *= 4
    near = scores >= kth_best(scores, top_k) - margin
    return Candidates(np.full(near.sum(), number), rows.positions_of(places[near]), scores[near])


def kth_best(scores: NDArray[np.float32], top_k: int) -> float:
    """The lowest of the `top_k` highest; minus infinity where there are fewer."""
    if len(scores) < top_k:
        return -np.inf
    return float(np.partition(scores, len(scores) - top_k)[len(scores) - top_k])
