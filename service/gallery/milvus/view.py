"""A search in Milvus: its candidates, checked and scored by what the store says."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.search import View
from reid.search.scan import EPSILON, Candidates, kth_best
from reid.search.view import Layout
from service.gallery.errors import IndexAwayError
from service.gallery.milvus.collections import MOST_RESULTS, Collections, expression
from service.gallery.sqlite.reading import Reading
from service.gallery.vectors import UNIT_TOLERANCE

_LARGEST_NORM = 1 + UNIT_TOLERANCE
_DEEPER = 4  # times as many candidates, where some could have been missed


@dataclass(frozen=True)
class Live:
    """A collection that has every row of the first positions that was alive when it was put there."""

    collections: Collections
    name: str
    held: NDArray[np.bool_]  # (followed,) whether the row at that position was put there
    removals: int  # that were known of when it was begun

    @property
    def followed(self) -> int:
        """How many positions it knows."""
        return len(self.held)

    @property
    def rows(self) -> int:
        """How many rows were put there."""
        return int(np.count_nonzero(self.held))


class MilvusView(View):
    """A view whose vectors are the store's, and whose candidates come from the collection that `live` says is there.

    Only rows that are alive here and wanted are candidates; how few Milvus gave is made up for by asking deeper, up to
    MOST_RESULTS. Where those could not be proven to hold the best, or the index is one that may miss some,
    `approximate` is True after the search. Rows that Milvus has not got yet are scored as well. `live` raises
    IndexAwayError where Milvus is away.
    """

    def __init__(
        self,
        dimension: int,
        layout: Layout,
        length: int,
        reading: Reading,
        bundle_id: str,
        live: Callable[[int], Live | None],
        *,
        misses_some: bool,
    ) -> None:
        super().__init__(dimension, layout, length)
        self.approximate = misses_some
        self._misses_some = misses_some
        self._reading = reading
        self._bundle_id = bundle_id
        self._live = live

    def vectors(self, positions: NDArray[np.int64]) -> NDArray[np.float16]:
        """The rows (N, D) float16 as the store has them; zeros for those that were erased since."""
        ids = self.layout.ids[positions]
        rows, stored = self._reading.vectors(np.unique(ids), self._bundle_id, self.dimension)
        vectors = np.zeros((len(positions), self.dimension), np.float16)
        if len(rows):
            places = np.minimum(np.searchsorted(rows, ids), len(rows) - 1)
            there = rows[places] == ids
            vectors[there] = stored[places[there]]
        return vectors

    def _candidates(self, queries: NDArray[np.float32], top_k: int, keep: NDArray[np.bool_] | None) -> Candidates:
        living = self._living(keep)
        live = self._live(self.length)
        try:
            return self._found(live, queries, top_k, living)
        except IndexAwayError:
            newer = self._live(self.length)
            if newer is live or newer is None:
                raise
            return self._found(newer, queries, top_k, living)  # it was made anew meanwhile

    def _found(
        self, live: Live | None, queries: NDArray[np.float32], top_k: int, living: NDArray[np.bool_]
    ) -> Candidates:
        followed = 0 if live is None else min(live.followed, self.length)
        fresh = followed + np.flatnonzero(living[followed:])
        numbers = np.repeat(np.arange(len(queries)), len(fresh))
        scored = Candidates(numbers, np.tile(fresh, len(queries)), np.zeros(len(numbers), np.float32))
        if live is None or not living[:followed].any():
            return scored
        return Candidates.joined([scored, *self._from_milvus(live, followed, queries, top_k, living)])

    def _from_milvus(
        self, live: Live, followed: int, queries: NDArray[np.float32], top_k: int, living: NDArray[np.bool_]
    ) -> list[Candidates]:
        held, here, ids = live.held[:followed], living[:followed], self.layout.ids[:followed]
        wanted = expression(ids[held & here], ids[held & ~here])
        depth = min(2 * top_k + 8, MOST_RESULTS)
        found: list[Candidates] = []
        left = np.arange(len(queries))
        while len(left):
            answers = live.collections.search(live.name, queries[left], depth, wanted)
            deeper = []
            for number, (rows, scores) in zip(left.tolist(), answers, strict=True):
                positions, scores = self._wanted(rows, scores, living[:followed])
                enough = len(rows) < depth or self._is_enough(queries[number], scores, top_k)
                if not enough and depth < MOST_RESULTS:
                    deeper.append(number)
                    continue
                self.approximate = self.approximate or not enough
                found.append(Candidates(np.full(len(positions), number), positions, scores))
            left, depth = np.array(deeper, np.int64), min(_DEEPER * depth, MOST_RESULTS)
        return found

    def _wanted(
        self, rows: NDArray[np.int64], scores: NDArray[np.float32], living: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The positions, and scores, of those of `rows` that are wanted: whatever Milvus made of the filter.

        What is at a position after `living` (F,) is scored without Milvus, which may have it already.
        """
        known = np.isin(rows, self.layout.ids[: len(living)])
        positions = self.positions(rows[known])
        here = living[positions]
        return positions[here], scores[known][here]

    def _is_enough(self, query: NDArray[np.float32], scores: NDArray[np.float32], top_k: int) -> bool:
        """Whether a row that was not named is surely none of the best `top_k`, or nothing surer is to be had."""
        if self._misses_some:
            return len(scores) >= top_k
        margin = 2 * float(np.linalg.norm(query)) * (len(query) + 2) * EPSILON * _LARGEST_NORM
        return bool(len(scores)) and float(scores[-1]) < kth_best(scores, top_k) - margin
