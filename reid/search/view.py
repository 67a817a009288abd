"""One moment of an index: what a search sees, whatever is added, removed or moved meanwhile."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reid.errors import VectorError
from reid.search.chunk import Chunk
from reid.search.device import Device, candidates
from reid.search.scan import Candidates, Part

NO_ROW = -1  # pads the answer where fewer rows than top_k are left


@dataclass(frozen=True)
class Layout:
    """Chunks, where each begins, and of each position the row id and whether it is alive; replaced, never reordered."""

    chunks: tuple[Chunk, ...] = ()
    starts: tuple[int, ...] = ()
    ids: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    alive: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))


class View:
    """The first `length` positions of a layout.

    Scores are the inner products of float32 queries with the stored float16 values, added up in float64 and
    rounded to float32. Equal scores come in the order of their row ids.
    """

    approximate = False  # whether the last search may have missed some of the best

    def __init__(self, dimension: int, layout: Layout, length: int, device: Device | None = None) -> None:
        self.dimension = dimension
        self.length = length
        self.layout = layout
        self._device = device

    def positions(self, row_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions of those of `row_ids` that are here, in the order given."""
        published = self.layout.ids[: self.length]
        found = np.searchsorted(published, row_ids)
        inside = found < len(published)
        found, row_ids = found[inside], np.asarray(row_ids)[inside]
        positions: NDArray[np.int64] = found[published[found] == row_ids]
        return positions

    def mask(self, row_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """A `keep` (length,) bool that is true for `row_ids` alone."""
        keep = np.zeros(self.length, np.bool_)
        keep[self.positions(row_ids)] = True
        return keep

    def count(self, keep: NDArray[np.bool_] | None = None) -> int:
        """How many live rows a search with `keep` would look at."""
        return int(np.count_nonzero(self._living(keep)))

    def search(
        self, queries: NDArray[np.float32], top_k: int, keep: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Best `top_k` rows for each of `queries` (Q, D) float32: scores and row ids, both (Q, top_k).

        `keep` (length,) bool is applied before top-k: rows that it does not name are not looked at.
        Scores fall, equal ones by rising row id. Where fewer rows are left, ids end in -1 and scores in -inf.
        Raises VectorError for queries of a wrong shape or not finite, ValueError for a top_k below 1.
        """
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        check_vectors(queries, self.dimension)
        if top_k < 1:
            raise ValueError(f"expected a top_k of at least 1, got {top_k}")
        return self._ranked(queries, top_k, self._candidates(queries, top_k, keep))

    def vectors(self, positions: NDArray[np.int64]) -> NDArray[np.float16]:
        """The rows (N, D) float16 at `positions` (N,), bit for bit as they were added."""
        vectors = np.empty((len(positions), self.dimension), np.float16)
        owners = np.searchsorted(self.layout.starts, positions, side="right") - 1
        for owner in np.unique(owners):
            theirs = owners == owner
            vectors[theirs] = self.layout.chunks[owner].vectors(positions[theirs] - self.layout.starts[owner])
        return vectors

    def _living(self, keep: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        alive = self.layout.alive[: self.length]
        if keep is None:
            return alive.copy()  # removals go on
        if len(keep) != self.length:
            raise ValueError(f"expected a keep of {self.length} rows, got {len(keep)}")
        living: NDArray[np.bool_] = alive & keep
        return living

    def _candidates(self, queries: NDArray[np.float32], top_k: int, keep: NDArray[np.bool_] | None) -> Candidates:
        parts = self._parts(self._living(keep))
        if keep is None and self._device is not None:
            return self._device.candidates(parts, queries, top_k)
        return candidates(parts, queries, top_k)

    def _parts(self, living: NDArray[np.bool_]) -> list[Part]:
        parts = []
        for chunk, start in zip(self.layout.chunks, self.layout.starts, strict=True):
            here = living[start : start + chunk.capacity]
            if count := int(np.count_nonzero(here)):
                parts.append(Part(chunk, start, here, count))
        return parts

    def _ranked(
        self, queries: NDArray[np.float32], top_k: int, found: Candidates
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The candidates scored exactly: `top_k` of each query."""
        scores = np.full((len(queries), top_k), -np.inf, np.float32)
        ids = np.full((len(queries), top_k), NO_ROW, np.int64)
        order = np.argsort(found.queries, kind="stable")
        positions = found.positions[order]
        vectors = self.vectors(positions)
        ends = np.cumsum(np.bincount(found.queries, minlength=len(queries)))
        for number, (start, end) in enumerate(zip(np.concatenate([[0], ends[:-1]]), ends, strict=True)):
            exact = vectors[start:end].astype(np.float64) @ queries[number].astype(np.float64)
            rounded, rows = exact.astype(np.float32), self.layout.ids[positions[start:end]]
            best = np.lexsort((rows, -rounded))[:top_k]
            scores[number, : len(best)], ids[number, : len(best)] = rounded[best], rows[best]
        return scores, ids


def check_vectors(vectors: NDArray[np.float32] | NDArray[np.float16], dimension: int) -> None:
    """Raise VectorError for what is not (N, dimension) finite numbers."""
    if vectors.ndim != 2 or vectors.shape[1] != dimension:
        raise VectorError(f"expected vectors of shape (N, {dimension}), got {vectors.shape}")
    if not np.isfinite(vectors).all():
        raise VectorError("expected finite vectors, got NaN or infinity")
