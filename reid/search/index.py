"""The exact index: chunks of rows, tombstones, filters before top-k, ties in a stable order."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reid.errors import VectorError
from reid.search.chunk import FAISS_PADDING, Chunk

FIRST_CHUNK_ROWS = 1_024
LARGEST_CHUNK_ROWS = 65_536
NO_ROW = -1  # pads the answer where fewer rows than top_k are left

# FAISS adds up in float32, in an order of its own: a sum of D products with a unit row is off by at most
# D · eps/2 · |query|. Rows closer than twice that to the last one kept are scored again, so that the answer
# does not depend on the order.
_EPSILON = float(np.finfo(np.float32).eps)


@dataclass
class _Rows:
    """What is known of each position beside its vector; replaced whole when it must grow."""

    ids: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    alive: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))

    def grown_to(self, size: int) -> "_Rows":
        ids, alive = np.zeros(size, np.int64), np.zeros(size, np.bool_)
        ids[: len(self.ids)] = self.ids
        alive[: len(self.alive)] = self.alive
        return _Rows(ids, alive)


class ExactIndex:
    """Exact inner products over float16 rows of `dimension`, addressed by int64 row ids.

    One writer may add and remove while any number of readers search: a reader sees the first `length` rows,
    and `length` is raised only after the rows are in place. Row ids must rise and are never used again.

    Scores are the inner products of float32 queries with the stored float16 values, added up in float64 and
    rounded to float32. Rows are expected to be of unit length, which makes it the cosine. Equal scores come
    in the order of their row ids.
    """

    def __init__(self, dimension: int) -> None:
        if dimension < 1:
            raise ValueError(f"expected a dimension of at least 1, got {dimension}")
        self.dimension = dimension
        self._chunks: list[Chunk] = []
        self._starts: list[int] = []
        self._rows = _Rows()
        self._length = 0

    @property
    def length(self) -> int:
        """Rows published so far, tombstones included: the length of a `keep` that speaks of all of them."""
        return self._length

    def add(self, row_ids: NDArray[np.int64], vectors: NDArray[np.float16]) -> None:
        """Append `vectors` (N, D) float16 under `row_ids` (N,) int64, rising and above all earlier ones.

        Raises VectorError for a wrong shape or values that are not finite, ValueError for ids out of order.
        """
        vectors = np.asarray(vectors, dtype=np.float16)
        _check_vectors(vectors, self.dimension)
        self._check_ids(row_ids, len(vectors))
        length, end = self._length, self._length + len(vectors)
        self._make_room(end)
        self._write(length, vectors)
        self._rows.ids[length:end] = row_ids
        self._rows.alive[length:end] = True
        self._length = end

    def remove(self, row_ids: NDArray[np.int64]) -> int:
        """Bury those of `row_ids` that are there and return how many: later searches do not find them."""
        positions = np.unique(self.positions(row_ids))
        positions = positions[self._rows.alive[positions]]
        self._rows.alive[positions] = False
        return len(positions)

    def positions(self, row_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions of those of `row_ids` that were ever added, in the order given."""
        published = self._rows.ids[: self._length]
        found = np.searchsorted(published, row_ids)
        inside = found < len(published)
        found, row_ids = found[inside], np.asarray(row_ids)[inside]
        positions: NDArray[np.int64] = found[published[found] == row_ids]
        return positions

    def mask(self, row_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """A `keep` (length,) bool that is true for `row_ids` alone."""
        keep = np.zeros(self._length, np.bool_)
        positions = self.positions(row_ids)
        keep[positions[positions < len(keep)]] = True
        return keep

    def count(self, keep: NDArray[np.bool_] | None = None) -> int:
        """How many live rows a search with `keep` would look at."""
        return int(np.count_nonzero(self._living(keep)))

    def search(
        self, queries: NDArray[np.float32], top_k: int, keep: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Best `top_k` rows for each of `queries` (Q, D) float32: scores and row ids, both (Q, top_k).

        `keep` (up to `length`,) bool is applied before top-k: rows that it does not name are not looked at.
        Scores fall, equal ones by rising row id. Where fewer rows are left, ids end in -1 and scores in -inf.
        Raises VectorError for queries of a wrong shape or not finite, ValueError for a top_k below 1.
        """
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        _check_vectors(queries, self.dimension)
        if top_k < 1:
            raise ValueError(f"expected a top_k of at least 1, got {top_k}")
        living = self._living(keep)
        candidates = self._candidates(queries, top_k, living)
        ranked = [self._rank(query, top_k, found) for query, found in zip(queries, candidates, strict=True)]
        scores = np.array([score for score, _ in ranked], np.float32).reshape(-1, top_k)
        return scores, np.array([ids for _, ids in ranked], np.int64).reshape(-1, top_k)

    def _living(self, keep: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        if keep is None:
            return self._rows.alive[: self._length]
        if len(keep) > self._length:
            raise ValueError(f"expected a keep of at most {self._length} rows, got {len(keep)}")
        living: NDArray[np.bool_] = self._rows.alive[: len(keep)] & keep
        return living

    def _candidates(
        self, queries: NDArray[np.float32], top_k: int, living: NDArray[np.bool_]
    ) -> list[NDArray[np.int64]]:
        """Positions that hold every row of the answer, for each query; more where scores are close."""
        found: list[list[NDArray[np.int64]]] = [[] for _ in queries]
        for chunk, start in zip(tuple(self._chunks), tuple(self._starts), strict=False):
            here = living[start : start + chunk.capacity]
            if not here.any():
                continue
            keep = None if len(here) == chunk.capacity and here.all() else _padded(here, chunk.capacity)
            for query, positions in zip(found, _near_best(chunk, queries, top_k, keep), strict=True):
                query.append(positions + start)
        return [np.concatenate([np.empty(0, np.int64), *positions]) for positions in found]

    def _rank(
        self, query: NDArray[np.float32], top_k: int, positions: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        exact = self._vectors(positions).astype(np.float64) @ query.astype(np.float64)
        scores, ids = exact.astype(np.float32), self._rows.ids[positions]
        best = np.lexsort((ids, -scores))[:top_k]
        missing = top_k - len(best)
        return (
            np.pad(scores[best], (0, missing), constant_values=-np.inf),
            np.pad(ids[best], (0, missing), constant_values=NO_ROW),
        )

    def _vectors(self, positions: NDArray[np.int64]) -> NDArray[np.float16]:
        vectors = np.empty((len(positions), self.dimension), np.float16)
        for chunk, start in zip(tuple(self._chunks), tuple(self._starts), strict=False):
            inside = (positions >= start) & (positions < start + chunk.capacity)
            vectors[inside] = chunk.vectors[positions[inside] - start]
        return vectors

    def _make_room(self, length: int) -> None:
        """Add chunks until `length` rows fit: the first small, then doubling up to a limit."""
        capacity = len(self._rows.ids)
        while capacity < length:
            rows = min(max(capacity, FIRST_CHUNK_ROWS), LARGEST_CHUNK_ROWS)
            self._starts.append(capacity)
            self._chunks.append(Chunk(rows, self.dimension))
            capacity += rows
        if capacity > len(self._rows.ids):
            self._rows = self._rows.grown_to(capacity)

    def _write(self, position: int, vectors: NDArray[np.float16]) -> None:
        for chunk, start in zip(self._chunks, self._starts, strict=True):
            first, last = max(position, start), min(position + len(vectors), start + chunk.capacity)
            if first < last:
                chunk.vectors[first - start : last - start] = vectors[first - position : last - position]

    def _check_ids(self, row_ids: NDArray[np.int64], expected: int) -> None:
        if len(row_ids) != expected:
            raise ValueError(f"expected {expected} row ids, got {len(row_ids)}")
        last = self._rows.ids[self._length - 1 : self._length]
        if np.any(np.diff(np.concatenate([last, row_ids])) <= 0) or np.any(np.asarray(row_ids) < 0):
            raise ValueError("expected row ids that rise and were never used, got others")


def _near_best(
    chunk: Chunk, queries: NDArray[np.float32], top_k: int, keep: NDArray[np.bool_] | None
) -> list[NDArray[np.int64]]:
    """The best `top_k` positions of each query and all that FAISS could not tell from the last of them."""
    margin = _EPSILON * queries.shape[1] * np.linalg.norm(queries, axis=1)
    depth = min(top_k + 1, chunk.capacity)
    while True:
        scores, positions = chunk.search(queries, depth, keep)
        found = positions != FAISS_PADDING
        last_kept = scores[:, min(top_k, depth) - 1]
        told_apart = ~found[:, -1] | (scores[:, -1] < last_kept - margin)
        if depth == chunk.capacity or told_apart.all():
            return [row[there] for row, there in zip(positions, found, strict=True)]
        depth = min(2 * depth, chunk.capacity)


def _padded(keep: NDArray[np.bool_], capacity: int) -> NDArray[np.bool_]:
    return np.pad(keep, (0, capacity - len(keep)))


def _check_vectors(vectors: NDArray[np.float32] | NDArray[np.float16], dimension: int) -> None:
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise VectorError(f"expected vectors of shape (N, {dimension}), got {vectors.shape}")
    if not np.isfinite(vectors).all():
        raise VectorError("expected finite vectors, got NaN or infinity")
