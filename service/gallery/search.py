"""A search: what is asked, and how the index and the records answer it together."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reid.errors import VectorError
from reid.search import ExactIndex
from service.gallery.errors import NotEmbeddedError, NotFoundError
from service.gallery.filters import Filter
from service.gallery.records import Sighting
from service.gallery.sqlite.reading import Reading

UNIT_TOLERANCE = 1e-2  # how far from 1 the length of a caller's vector may be: float16 and text cost digits


@dataclass(frozen=True)
class Query:
    """Who is searched for: the mean direction of `embeddings` (N, D), or of the sightings that `stored` lets through.

    Sightings that a query is made of are never among its matches.
    """

    embeddings: NDArray[np.float32] | None = None
    stored: Filter | None = None
    sighting_id: str | None = None


@dataclass(frozen=True)
class Terms:
    """What a match must be, and how many are wanted. Grouped by person, only a person's best sighting counts."""

    filter: Filter = field(default_factory=Filter)
    top_k: int = 10
    group_by: Literal["sighting", "person"] = "sighting"
    min_score: float | None = None


@dataclass(frozen=True)
class Match:
    """A sighting and its score: the cosine between its stored vector and the query."""

    sighting: Sighting
    score: float


@dataclass(frozen=True)
class Result:
    """The matches of one query, best first, and how many sightings the filter left to look at."""

    matches: list[Match]
    searched: int


@dataclass(frozen=True)
class Searcher:
    """One snapshot of the records with the index of one bundle; `length` rows of it were there before."""

    reading: Reading
    index: ExactIndex
    length: int
    bundle_id: str

    def search(self, query: Query, terms: Terms) -> Result:
        """Answer one query; raises NotFoundError, NotEmbeddedError or VectorError for one that means nobody."""
        direction, own_rows = self._direction(query)
        keep = self._keep(terms.filter, own_rows)
        while True:
            rows, scores = self._ranked(direction, keep, terms)
            found = self.reading.sightings_at(rows)
            gone = np.array([row for row in rows if row not in found], np.int64)
            if not len(gone):
                break
            keep[self.index.positions(gone)] = False  # deleted, and not yet taken out of the index
        matches = [Match(found[row], score) for row, score in zip(rows, scores, strict=True)]
        return Result(matches, self.index.count(keep))

    def _direction(self, query: Query) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The unit vector (D,) to search with, and the rows it was made of."""
        if query.embeddings is not None:
            return _mean_direction(query.embeddings, self.index.dimension), np.empty(0, np.int64)
        rows = self._rows_of(query)
        embedded, vectors = self.reading.vectors(rows, self.bundle_id, self.index.dimension)
        if not len(embedded):
            raise NotEmbeddedError("expected sightings that the active bundle embedded, got none")
        return _mean_direction(vectors.astype(np.float32), self.index.dimension), rows

    def _rows_of(self, query: Query) -> NDArray[np.int64]:
        if query.sighting_id is not None:
            return np.array([self.reading.sighting(query.sighting_id).row], np.int64)
        assert query.stored is not None
        rows = self.reading.rows(query.stored)
        if not len(rows):
            raise NotFoundError("expected a person or tracklet with sightings, got none")
        return rows

    def _keep(self, wanted: Filter, own_rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the first `length` rows to look at."""
        if wanted == Filter() and self.reading.sees_all:
            keep = np.ones(self.length, np.bool_)
        else:
            keep = self.index.mask(self.reading.rows(wanted))[: self.length]
        own = self.index.positions(own_rows)
        keep[own[own < self.length]] = False
        return keep

    def _ranked(
        self, direction: NDArray[np.float32], keep: NDArray[np.bool_], terms: Terms
    ) -> tuple[list[int], list[float]]:
        """Row numbers and scores, best first: deeper and deeper until there are top_k groups or no more rows."""
        depth = terms.top_k
        while True:
            scores, rows = self.index.search(direction[None], depth, keep)
            there = (rows[0] != -1) & (scores[0] >= (-np.inf if terms.min_score is None else terms.min_score))
            firsts = self._first_of_each_group(rows[0][there], terms)
            if len(firsts) >= terms.top_k or not there.all():
                best = np.flatnonzero(there)[firsts[: terms.top_k]]
                return rows[0][best].tolist(), scores[0][best].tolist()
            depth *= 4

    def _first_of_each_group(self, rows: NDArray[np.int64], terms: Terms) -> list[int]:
        if terms.group_by == "sighting":
            return list(range(len(rows)))
        found = self.reading.sightings_at(rows.tolist())
        return _firsts(rows.tolist(), lambda row: _group(row, found.get(row)))


def _group(row: int, sighting: Sighting | None) -> object:
    """A person's sightings are one group; each sighting of nobody in particular is its own."""
    return row if sighting is None or sighting.person_id is None else sighting.person_id


def _firsts(rows: list[int], group: Callable[[int], object]) -> list[int]:
    seen: dict[object, int] = {}
    for position, row in enumerate(rows):
        seen.setdefault(group(row), position)
    return list(seen.values())


def _mean_direction(embeddings: NDArray[np.float32], dimension: int) -> NDArray[np.float32]:
    """The unit mean (D,) of unit rows (N, D)."""
    if embeddings.ndim != 2 or embeddings.shape[1] != dimension:
        raise VectorError(f"expected vectors of {dimension} numbers, got {embeddings.shape[-1]}")
    if not np.isfinite(embeddings).all():
        raise VectorError("expected finite vectors, got NaN or infinity")
    lengths = np.linalg.norm(embeddings, axis=1)
    if np.any(np.abs(lengths - 1) > UNIT_TOLERANCE):
        raise VectorError(f"expected vectors of unit length, got a length of {lengths.max():.4g}")
    mean = (embeddings / lengths[:, None]).mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length < UNIT_TOLERANCE:
        raise VectorError("expected images of one person, got vectors that cancel out")
    direction: NDArray[np.float32] = mean / np.float32(length)
    return direction
