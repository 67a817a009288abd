"""A search: what is asked, and how the index and the records answer it together."""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reid.errors import VectorError
from reid.search import NO_ROW, ExactIndex
from service.gallery.errors import FilterError, NotEmbeddedError, NotFoundError
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
    """What a match must be, and how many are wanted. Grouped by person, only a person's best sighting counts.

    Only a query by sighting or tracklet has a camera and a tracklet of its own to exclude.
    """

    filter: Filter = field(default_factory=Filter)
    top_k: int = 10
    group_by: Literal["sighting", "person"] = "sighting"
    min_score: float | None = None
    exclude_same_camera: bool = False
    exclude_own_tracklet: bool = False


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
        keep = self._keep(self._filter(query, terms, own_rows), own_rows)
        searched, matches = self.index.count(keep), list[Match]()
        while len(matches) < terms.top_k:
            rows, scores = self._best(direction, keep, terms)
            found = self.reading.sightings_at(rows)  # without those that were deleted since
            searched -= len(rows) - len(found)
            best = [Match(found[row], score) for row, score in zip(rows, scores, strict=True) if row in found]
            matches += best if terms.group_by == "sighting" else _firsts(best)
            if len(rows) < terms.top_k:
                break
            self._pass_over(rows, keep, terms)
        return Result(matches[: terms.top_k], searched)

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

    def _filter(self, query: Query, terms: Terms, own_rows: NDArray[np.int64]) -> Filter:
        """The filter of `terms`, without the cameras and tracklets that the query was seen by and in, if so asked."""
        if not (terms.exclude_same_camera or terms.exclude_own_tracklet):
            return terms.filter
        if not len(own_rows) or (query.stored is not None and query.stored.persons):
            raise FilterError("expected a query by sighting or tracklet to exclude its own camera, got another")
        own = self.reading.sightings_at(own_rows.tolist()).values()
        cameras = {sighting.camera_id for sighting in own if terms.exclude_same_camera}
        tracklets = {sighting.tracklet_id for sighting in own if terms.exclude_own_tracklet}
        return replace(
            terms.filter,
            not_cameras=(*terms.filter.not_cameras, *sorted(filter(None, cameras))),
            exclude_tracklets=(*terms.filter.exclude_tracklets, *sorted(filter(None, tracklets))),
        )

    def _keep(self, wanted: Filter, own_rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the first `length` rows to look at."""
        if wanted == Filter() and self.reading.sees_all:
            keep = np.ones(self.length, np.bool_)
        else:
            keep = self.index.mask(self.reading.rows(wanted))[: self.length]
        own = self.index.positions(own_rows)
        keep[own[own < self.length]] = False
        return keep

    def _best(
        self, direction: NDArray[np.float32], keep: NDArray[np.bool_], terms: Terms
    ) -> tuple[list[int], list[float]]:
        """Row numbers and scores of at most top_k rows, best first."""
        scores, rows = self.index.search(direction[None], terms.top_k, keep)
        there = (rows[0] != NO_ROW) & (scores[0] >= (-np.inf if terms.min_score is None else terms.min_score))
        return rows[0][there].tolist(), scores[0][there].tolist()

    def _pass_over(self, rows: list[int], keep: NDArray[np.bool_], terms: Terms) -> None:
        """Strike `rows` from `keep`, and where people are asked for all that shows the same ones."""
        passed = np.array(rows, np.int64)
        if terms.group_by == "person":
            passed = np.concatenate([passed, self.reading.rows_of_same_people(rows)])
        positions = self.index.positions(passed)
        keep[positions[positions < len(keep)]] = False


def _firsts(matches: list[Match]) -> list[Match]:
    """The first match of each person; sightings of nobody in particular all stay."""
    firsts: dict[object, Match] = {}
    for match in matches:
        firsts.setdefault(match.sighting.person_id or match.sighting.row, match)
    return list(firsts.values())


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
