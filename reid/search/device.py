"""Candidates from a GPU: copies of full chunks, which it searches without filters and one search at a time.

FAISS's GPU indexes ignore selectors without a word: none is ever given to them, and every row that they name is looked
up before it counts. A chunk that grows, of which they do not say enough, or for which the GPU has no memory left, is
searched by the processors.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol
from weakref import ref

import faiss
import numpy as np
from numpy.typing import NDArray

from reid.search.chunk import FAISS_PADDING, Chunk
from reid.search.scan import EPSILON, Candidates, Part, kth_best, scan

_LOG = logging.getLogger(__name__)
MOST_RESULTS = 2_048  # of one query, that FAISS's GPU indexes give
_BATCH = 2  # queries: from so many on, one product for all is faster than a scan for each


class Copy(Protocol):
    """What an index on a GPU must do. Not safe from two threads, not even to read."""

    def search(self, queries: NDArray[np.float32], depth: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scores and positions, both (Q, depth), best first."""


def candidates(parts: Sequence[Part], queries: NDArray[np.float32], top_k: int) -> Candidates:
    """Candidates of `queries` (Q, D) float32 on the processors, by whichever way is the faster for so many."""
    if len(queries) < _BATCH:
        return scan(parts, queries, top_k)
    from reid.search.product import multiply  # loads torch: seconds and 0.5 GB, which only batches are worth

    return multiply(parts, queries, top_k)


class Device:
    """A GPU. `copy` puts a FAISS index there; the copy of a chunk that is gone goes with the next search."""

    def __init__(self, copy: Callable[[faiss.IndexFlatIP], Copy]) -> None:
        self._copy = copy
        self._copies: dict[ref[Chunk], Copy | None] = {}  # None: the device failed with it
        self._searching = threading.Lock()

    @classmethod
    def find(cls, number: int = 0) -> "Device | None":
        """That GPU, if it is there and the FAISS installed can use it."""
        if not hasattr(faiss, "StandardGpuResources") or faiss.get_num_gpus() <= number:
            return None
        resources = faiss.StandardGpuResources()
        return cls(lambda index: faiss.index_cpu_to_gpu(resources, number, index))

    def candidates(self, parts: Sequence[Part], queries: NDArray[np.float32], top_k: int) -> Candidates:
        """As :func:`candidates` on the processors gives them; all rows alive must be wanted."""
        with self._searching:  # a copy must not go while another thread searches: so not when its chunk goes
            self._copies = {of: copy for of, copy in self._copies.items() if of() is not None}
        found, rest = [], []
        for part in parts:
            some = self._search(part, queries, top_k) if len(part.here) == part.chunk.capacity else None
            if some is None:
                rest.append(part)
            else:
                found.append(some)
        return Candidates.joined([*found, candidates(rest, queries, top_k)])

    def _search(self, part: Part, queries: NDArray[np.float32], top_k: int) -> Candidates | None:
        """The best of a chunk; None where the device cannot tell which they are."""
        dead = len(part.here) - part.count
        depth = min(2 * top_k + dead + 8, len(part.here))
        if depth > MOST_RESULTS:
            return None
        with self._searching:
            try:
                copy = self._copy_of(part.chunk)
                if copy is None:
                    return None
                scores, places = copy.search(queries, depth)
            except RuntimeError as error:  # all that FAISS raises: no memory left there, or a device that is gone
                _LOG.warning("the processors search %d rows that the GPU cannot: %s", len(part.here), error)
                self._copies[ref(part.chunk)] = None
                return None
        margins = 2 * np.linalg.norm(queries, axis=1) * (queries.shape[1] + 2) * EPSILON * part.chunk.longest
        found = []
        for number in range(len(queries)):
            some = _near_best(number, scores[number], places[number], part, top_k, float(margins[number]))
            if some is None:
                return None
            found.append(some)
        return Candidates.joined(found)

    def _copy_of(self, chunk: Chunk) -> Copy | None:
        if ref(chunk) not in self._copies:
            flat = faiss.IndexFlatIP(chunk.high.shape[1])
            for rows in _float32_rows(chunk):
                flat.add(rows)
            self._copies[ref(chunk)] = self._copy(flat)
        return self._copies[ref(chunk)]


def _near_best(
    number: int,
    scores: NDArray[np.float32],
    places: NDArray[np.int64],
    part: Part,
    top_k: int,
    margin: float,
) -> Candidates | None:
    """What of a query's best rows is alive and near the k-th best; None if there may be more of it."""
    floor = kth_best(scores[_alive(places, part)], top_k) - margin
    if len(scores) < len(part.here) and not scores[-1] < floor:
        return None
    near = _alive(places, part) & (scores >= floor)
    return Candidates(np.full(near.sum(), number), places[near] + part.start, scores[near])


def _alive(places: NDArray[np.int64], part: Part) -> NDArray[np.bool_]:
    alive: NDArray[np.bool_] = (places != FAISS_PADDING) & part.here[places]
    return alive


def _float32_rows(chunk: Chunk) -> Iterator[NDArray[np.float32]]:
    for start in range(0, chunk.capacity, 1_024):
        yield chunk.vectors(np.arange(start, min(start + 1_024, chunk.capacity))).astype(np.float32)
