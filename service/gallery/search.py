"""A search: what is asked, and how the index and the records answer it together."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.reranking import rerank
from reid.search import NO_ROW, View
from service.gallery.errors import BundleChangedError, FilterError, NotEmbeddedError, NotFoundError
from service.gallery.filters import Filter
from service.gallery.records import Place, Sighting
from service.gallery.sqlite.reading import Reading
from service.gallery.vectors import mean_direction

RERANKED = 200  # of one query: its best matches, which then take part in each other's sets of neighbours
_FEW_OWN = 64  # sightings that a query is made of: with more, it goes to the index alone


@dataclass(frozen=True)
class Query:
    """Who is searched for: the mean direction of `embeddings` (N, D), or of the sightings that `stored` lets through.

    Sightings that a query is made of are never among its matches. `bundle_id` is the bundle that gave `embeddings`, and
    whose scores the terms speak of; None where only the caller can know.
    """

    embeddings: NDArray[np.float32] | None = None
    stored: Filter | None = None
    sighting_id: str | None = None
    bundle_id: str | None = None


@dataclass(frozen=True)
class Terms:
    """What a match must be, and how many are wanted. Grouped by person, only a person's best sighting counts.

    Only a query by sighting or tracklet has a camera and a tracklet of its own to exclude. `camera_min_scores` replace
    `min_score` between two cameras (the lesser name first), where the query has one. With `rerank` the best RERANKED
    (or top_k, if that is more) are put into k-reciprocal order; scores stay cosines.
    """

    filter: Filter = field(default_factory=Filter)
    top_k: int = 10
    group_by: Literal["sighting", "person"] = "sighting"
    min_score: float | None = None
    camera_min_scores: Mapping[tuple[str, str], float] = field(default_factory=dict)
    exclude_same_camera: bool = False
    exclude_own_tracklet: bool = False
    rerank: bool = False

    def min_score_between(self, camera: str | None, other: str | None) -> float:
        """The threshold for a query and a match of these cameras; None: not known."""
        lowest = -np.inf if self.min_score is None else self.min_score
        if camera is None or other is None:
            return lowest
        return self.camera_min_scores.get((min(camera, other), max(camera, other)), lowest)

    @property
    def lowest_min_score(self) -> float:
        """What every match reaches, whatever its camera."""
        return -np.inf if self.min_score is None else min(self.min_score, *self.camera_min_scores.values(), np.inf)


@dataclass(frozen=True)
class Match:
    """A sighting and its score: the cosine between its stored vector and the query."""

    sighting: Sighting
    score: float


@dataclass(frozen=True)
class Result:
    """The matches of one query, best first, and how many sightings the filter left to look at.

    `bundle_id` is the bundle whose vectors were compared, `camera_id` the one camera that all sightings of the query
    are of, or None; `approximate`, whether an index may have missed better ones.
    """

    matches: list[Match]
    searched: int
    bundle_id: str
    camera_id: str | None = None
    approximate: bool = False


@dataclass(frozen=True)
class _Question:
    """A query as the index understands it: a unit direction (D,), among the sightings of `wanted` but its own."""

    direction: NDArray[np.float32]
    own_rows: NDArray[np.int64]
    camera_id: str | None
    wanted: Filter
    terms: Terms

    @property
    def sought(self) -> Terms:
        """The terms of what is looked for: where it is to be re-ranked, more than was asked for, of no group."""
        if not self.terms.rerank:
            return self.terms
        return replace(self.terms, top_k=max(self.terms.top_k, RERANKED), group_by="sighting")

    def goes_with(self, other: "_Question") -> bool:
        """Whether the index can answer both in one batch."""
        return self.wanted == other.wanted and max(len(self.own_rows), len(other.own_rows)) <= _FEW_OWN


@dataclass(frozen=True)
class Searcher:
    """One snapshot of the records, with a view of one bundle's index that was taken before it."""

    reading: Reading
    view: View
    bundle_id: str

    def search(self, asked: Sequence[tuple[Query, Terms]]) -> list[Result]:
        """Answer queries; those that look at the same sightings go to the index as one batch.

        Raises NotFoundError, NotEmbeddedError or VectorError for one that means nobody, BundleChangedError for one of
        another bundle.
        """
        questions = [self._question(query, terms) for query, terms in asked]
        results: dict[int, Result] = {}
        for numbers in _batches(questions):
            some = [questions[number] for number in numbers]
            keep = self._keep(some[0].wanted)
            for number, question, best in zip(numbers, some, self._best_of_all(some, keep), strict=True):
                results[number] = self._result(question, self._without(keep, question.own_rows), best)
        return [results[number] for number in range(len(questions))]

    def _question(self, query: Query, terms: Terms) -> _Question:
        direction, own_rows = self._direction(query)
        own = self.reading.places(own_rows.tolist())
        return _Question(direction, own_rows, _one_camera(own), _narrowed(terms, query, own), terms)

    def _direction(self, query: Query) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The unit vector (D,) to search with, and the rows it was made of."""
        if query.bundle_id not in (None, self.bundle_id):
            raise BundleChangedError.of(self.bundle_id, query.bundle_id)
        if query.embeddings is not None:
            return mean_direction(query.embeddings, self.view.dimension), np.empty(0, np.int64)
        rows = self._rows_of(query)
        embedded = self.view.positions(rows)
        if not len(embedded):
            raise NotEmbeddedError("expected sightings that the active bundle embedded, got none")
        return mean_direction(self.view.vectors(embedded).astype(np.float32), self.view.dimension), rows

    def _rows_of(self, query: Query) -> NDArray[np.int64]:
        if query.sighting_id is not None:
            return np.array([self.reading.sighting(query.sighting_id).row], np.int64)
        assert query.stored is not None
        rows = self.reading.rows(query.stored)
        if not len(rows):
            raise NotFoundError("expected a person or tracklet with sightings, got none")
        return rows

    def _keep(self, wanted: Filter) -> NDArray[np.bool_] | None:
        """Which rows of the view to look at; None: all of them."""
        if wanted == Filter() and self.reading.sees_all:
            return None
        return self.view.mask(self.reading.rows(wanted))

    def _without(self, keep: NDArray[np.bool_] | None, rows: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """`keep` with `rows` struck out."""
        if not len(rows):
            return keep
        left = np.ones(self.view.length, np.bool_) if keep is None else keep.copy()
        left[self.view.positions(rows)] = False
        return left

    def _best_of_all(self, some: Sequence[_Question], keep: NDArray[np.bool_] | None) -> list[list[tuple[int, float]]]:
        """The best rows of questions that go together, without each one's own, and their scores.

        Where a question's own rows may be among the best, so many more are asked for.
        """
        if len(some) == 1:
            return [self._best(some[0], self._without(keep, some[0].own_rows))]
        depth = max(question.sought.top_k + len(question.own_rows) for question in some)
        scores, rows = self.view.search(np.stack([question.direction for question in some]), depth, keep)
        return [_kept(question, *found) for question, *found in zip(some, rows, scores, strict=True)]

    def _best(self, question: _Question, left: NDArray[np.bool_] | None) -> list[tuple[int, float]]:
        scores, rows = self.view.search(question.direction[None], question.sought.top_k, left)
        return _kept(question, rows[0], scores[0])

    def _result(self, question: _Question, left: NDArray[np.bool_] | None, best: list[tuple[int, float]]) -> Result:
        terms = question.terms
        matches, gone = self._matches(question, left, best)
        if terms.rerank:
            matches = self._reranked(question.direction, matches)
            matches = matches if terms.group_by == "sighting" else _firsts(matches)
        searched = self.view.count(left) - gone
        return Result(matches[: terms.top_k], searched, self.bundle_id, question.camera_id, self.view.approximate)

    def _matches(
        self, question: _Question, left: NDArray[np.bool_] | None, best: list[tuple[int, float]]
    ) -> tuple[list[Match], int]:
        """The best matches, top_k or more where there are so many, and how many rows turned out to be deleted."""
        sought, matches, gone = question.sought, list[Match](), 0
        while True:
            found = self.reading.sightings_at(row for row, _ in best)  # without those that were deleted since
            gone += len(best) - len(found)
            some = [Match(found[row], score) for row, score in best if row in found]
            some = [match for match in some if match.score >= _threshold(sought, question.camera_id, match)]
            matches += some if sought.group_by == "sighting" else _firsts(some)
            if len(best) < sought.top_k or len(matches) >= sought.top_k:
                return matches, gone
            left = self._without(left, self._passed([row for row, _ in best], some, sought))
            best = self._best(question, left)

    def _passed(self, rows: list[int], matched: list[Match], sought: Terms) -> NDArray[np.int64]:
        """`rows`, and where people are asked for all that shows those who `matched`."""
        passed = np.array(rows, np.int64)
        if sought.group_by == "sighting":
            return passed
        return np.concatenate([passed, self.reading.rows_of_same_people([match.sighting.row for match in matched])])

    def _reranked(self, direction: NDArray[np.float32], matches: list[Match]) -> list[Match]:
        """`matches` in k-reciprocal order; equal distances stay in the order of their scores."""
        if not matches:
            return matches
        by_row = {match.sighting.row: match for match in matches}
        rows = np.array(sorted(by_row), np.int64)
        unit = self.view.vectors(self.view.positions(rows)).astype(np.float32)
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        (distances,) = rerank(direction[None], unit)
        scores = [by_row[row].score for row in rows.tolist()]
        order = np.lexsort((rows, np.negative(scores), distances))
        return [by_row[row] for row in rows[order].tolist()]


def _batches(questions: Sequence[_Question]) -> list[list[int]]:
    """The numbers of the questions that go together."""
    batches: list[list[int]] = []
    for number, question in enumerate(questions):
        batch = next((batch for batch in batches if questions[batch[0]].goes_with(question)), None)
        if batch is None:
            batches.append([number])
        else:
            batch.append(number)
    return batches


def _kept(question: _Question, rows: NDArray[np.int64], scores: NDArray[np.float32]) -> list[tuple[int, float]]:
    """What of some best rows the question is after, top_k at most."""
    sought = question.sought
    there = (rows != NO_ROW) & (scores >= sought.lowest_min_score) & ~np.isin(rows, question.own_rows)
    return list(zip(rows[there][: sought.top_k].tolist(), scores[there][: sought.top_k].tolist(), strict=True))


def _narrowed(terms: Terms, query: Query, own: AbstractSet[Place]) -> Filter:
    """The filter of `terms`, without the cameras and tracklets that the query was seen by and in, if so asked."""
    if not (terms.exclude_same_camera or terms.exclude_own_tracklet):
        return terms.filter
    if not own or (query.stored is not None and query.stored.persons):
        raise FilterError("expected a query by sighting or tracklet to exclude its own camera, got another")
    cameras = {place.camera_id for place in own if terms.exclude_same_camera}
    tracklets = {place.tracklet_id for place in own if terms.exclude_own_tracklet}
    return replace(
        terms.filter,
        not_cameras=(*terms.filter.not_cameras, *sorted(filter(None, cameras))),
        exclude_tracklets=(*terms.filter.exclude_tracklets, *sorted(filter(None, tracklets))),
    )


def _one_camera(own: AbstractSet[Place]) -> str | None:
    cameras = {place.camera_id for place in own}
    return cameras.pop() if len(cameras) == 1 else None


def _threshold(terms: Terms, camera_id: str | None, match: Match) -> float:
    return terms.min_score_between(camera_id, match.sighting.camera_id)


def _firsts(matches: list[Match]) -> list[Match]:
    """The first match of each person; sightings of nobody in particular all stay."""
    firsts: dict[object, Match] = {}
    for match in matches:
        firsts.setdefault(match.sighting.person_id or match.sighting.row, match)
    return list(firsts.values())
