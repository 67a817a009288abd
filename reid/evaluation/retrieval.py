"""Rank-k, mAP and mINP by the protocol of Market-1501 (Zheng et al. 2015).

For each query, gallery crops of the same person *and* camera are dropped (another rule: :class:`Exclude`) and so is
junk (pid -1); distractors (pid 0) stay. What is left is ranked by score, ties by gallery position. For the i-th of n
hits (from 0) at rank r (from 0), two average precisions are in use and differ by up to a point of mAP:

* *step* (torchreid, fast-reid, bag of tricks): the mean of ``(i + 1) / (r + 1)``;
* *trapezoid* (Market's own script): the mean of ``((i + 1) / (r + 1) + p) / 2``, where p is ``i / r``, or 1 at r = 0.

The inverse negative penalty (Ye et al. 2021, section IV-A) is ``n / (r + 1)`` at the *last* hit: how much of what a
person must look through, to find every true match, is one.

Queries without a hit are left out of every mean; `num_valid_queries` says how many counted.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.labels import Exclude, PeopleLabels, SamePersonPairs, same_person_pairs
from reid.evaluation.scores import check_pair, score_blocks

PROTOCOL = "Market-1501, single query: same person and camera dropped, junk dropped, distractors kept"


@dataclass(frozen=True)
class RetrievalResult:
    """Per query, each (Q,): rank of the first hit (from 0), both average precisions, and the inverse penalty.

    Without a hit they are -1, nan, nan and nan.
    """

    first_hit_rank: NDArray[np.int64]
    ap_step: NDArray[np.float64]
    ap_trapezoid: NDArray[np.float64]
    inverse_penalty: NDArray[np.float64]
    num_gallery: int

    @property
    def num_queries(self) -> int:
        """Queries asked."""
        return len(self.first_hit_rank)

    @property
    def num_valid_queries(self) -> int:
        """Queries with at least one true match in the gallery: those that the means are over."""
        return int((self.first_hit_rank >= 0).sum())

    def rank(self, k: int) -> float:
        """Rank-k: the share of valid queries with a true match among the first k. Raises ``ValueError`` for k < 1."""
        return float(np.nanmean(self.found_within(k)))

    def found_within(self, k: int) -> NDArray[np.float64]:
        """Per query, (Q,): 1 with a true match among the first k, else 0; nan without any. ``ValueError`` for k < 1."""
        if k < 1:
            raise ValueError(f"expected k of at least 1, got {k}")
        return np.where(self.first_hit_rank < 0, np.nan, self.first_hit_rank < k)

    def cmc(self, max_rank: int) -> NDArray[np.float64]:
        """The cumulative match characteristic: Rank-1 … Rank-`max_rank`, (max_rank,)."""
        return np.array([self.rank(k) for k in range(1, max_rank + 1)])

    @property
    def mean_ap(self) -> float:
        """Mean of the step average precision, a fraction."""
        return float(np.nanmean(self.ap_step))

    @property
    def mean_ap_trapezoid(self) -> float:
        """Mean of the trapezoid average precision, a fraction."""
        return float(np.nanmean(self.ap_trapezoid))

    @property
    def mean_inp(self) -> float:
        """Mean inverse negative penalty (mINP), a fraction."""
        return float(np.nanmean(self.inverse_penalty))


def average_precision(hit_ranks: NDArray[np.int64]) -> tuple[float, float]:
    """Step and trapezoid average precision of one query's hits at these ranks, (n,) rising from 0, n ≥ 1.

    >>> average_precision(np.array([0, 2]))  # (1/1 + 2/3) / 2, and ((1 + 1)/2 + (2/3 + 1/2)/2) / 2
    (0.8333333333333333, 0.7916666666666666)
    """
    after, before = _precisions(np.arange(len(hit_ranks)), hit_ranks)
    return float(after.mean()), float(((after + before) / 2).mean())


def inverse_negative_penalty(hit_ranks: NDArray[np.int64]) -> float:
    """One query's hits at these ranks, (n,) rising from 0, n ≥ 1 → n over the place of the last.

    >>> inverse_negative_penalty(np.array([0, 2, 5]))  # 3 true matches within the first 6 places
    0.5
    """
    return len(hit_ranks) / (int(hit_ranks[-1]) + 1)


def evaluate_retrieval(
    query: NDArray[np.float32],
    gallery: NDArray[np.float32],
    query_labels: PeopleLabels,
    gallery_labels: PeopleLabels,
    *,
    exclude: Exclude = Exclude.SAME_CAMERA,
) -> RetrievalResult:
    """Rank a (G, D) gallery for each of (Q, D) queries, both unit rows, in bounded memory.

    Two crops before one of the same person, on another camera, are a hit at rank 2 of 3:

    >>> vectors = np.array([[1, 0], [0.8, 0.6], [0.6, 0.8], [0, 1]], dtype=np.float32)
    >>> who = PeopleLabels(np.array([1, 2, 1, 2]), np.array([1, 2, 2, 2]))
    >>> result = evaluate_retrieval(vectors[:1], vectors[1:], who[:1], who[1:])
    >>> result.rank(1), result.rank(2), result.mean_ap, result.mean_inp
    (0.0, 1.0, 0.5, 0.5)

    Raises :class:`~reid.errors.VectorError` on vectors that are not finite or not of unit length, ``ValueError`` on
    shapes that do not fit and when no query has a true match.
    """
    check_pair(query, gallery, query_labels, gallery_labels)
    kept = gallery_labels.without_junk()
    pairs = same_person_pairs(query_labels, gallery_labels[kept], exclude)
    _check_any_hit(pairs, exclude)
    return rank_hits(score_blocks(query, gallery[kept]), pairs, num_gallery=int(kept.sum()))


def evaluate_scores(
    scores: NDArray[np.float32],
    query_labels: PeopleLabels,
    gallery_labels: PeopleLabels,
    *,
    exclude: Exclude = Exclude.SAME_CAMERA,
) -> RetrievalResult:
    """:func:`evaluate_retrieval` from (Q, G) scores of any kind, such as negated distances after re-ranking.

    Raises ``ValueError`` on shapes that do not fit, scores that are not finite, and when no query has a true match.
    """
    if scores.shape != (len(query_labels), len(gallery_labels)):
        raise ValueError(f"expected scores ({len(query_labels)}, {len(gallery_labels)}), got {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("expected finite scores, got nan or infinity")
    kept = gallery_labels.without_junk()
    pairs = same_person_pairs(query_labels, gallery_labels[kept], exclude)
    _check_any_hit(pairs, exclude)
    blocks = ((slice(row, row + 1), scores[row : row + 1, kept]) for row in range(len(scores)))
    return rank_hits(blocks, pairs, num_gallery=int(kept.sum()))


def rank_hits(
    blocks: Iterable[tuple[slice, NDArray[np.float32]]], pairs: SamePersonPairs, num_gallery: int
) -> RetrievalResult:
    """Rank what `pairs` names as hits in blocks of (B, G) finite scores, which are written to. Raises nothing."""
    ranks = [hits for rows, scores in blocks for hits in _ranks_in_block(scores, pairs.of_queries(rows))]
    return _result(ranks, num_gallery)


def _check_any_hit(pairs: SamePersonPairs, exclude: Exclude) -> None:
    if pairs.excluded.all():
        where = "on another camera" if exclude is Exclude.SAME_CAMERA else "in another tracklet"
        raise ValueError(f"expected at least one query with a true match {where}, got none")


def _ranks_in_block(scores: NDArray[np.float32], pairs: SamePersonPairs) -> list[NDArray[np.int64]]:
    scores[pairs.queries[pairs.excluded], pairs.gallery[pairs.excluded]] = -np.inf
    queries, positions = pairs.hits
    bounds = np.searchsorted(queries, np.arange(len(scores) + 1)).tolist()
    spans = itertools.pairwise(bounds)
    return [_hit_ranks(row, positions[start:stop]) for row, (start, stop) in zip(scores, spans, strict=True)]


def _hit_ranks(scores: NDArray[np.float32], hits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ranks (from 0) of one query's true matches; only what scores at least as high as the last of them is sorted."""
    if not len(hits):
        return hits
    hits = hits[(-scores[hits]).argsort(kind="stable")]
    levels = scores[hits]
    rivals = scores.compress(scores >= levels[-1])  # twice as fast as indexing with the mask
    rivals.sort()
    above = len(rivals) - rivals.searchsorted(levels, side="right")
    at_or_above = len(rivals) - rivals.searchsorted(levels, side="left")
    for tied in np.flatnonzero(at_or_above > above + 1):
        above[tied] += np.count_nonzero(scores[: hits[tied]] == levels[tied])
    return above


def _precisions(nth: NDArray[np.int64], ranks: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision just after and just before each hit: the `nth` of its query (from 0), at `ranks` (from 0)."""
    after = (nth + 1) / (ranks + 1)
    before = np.where(ranks == 0, 1.0, nth / np.maximum(ranks, 1))
    return after, before


def _result(hit_ranks: list[NDArray[np.int64]], num_gallery: int) -> RetrievalResult:
    """The figures of :func:`average_precision` and :func:`inverse_negative_penalty`, for all queries at once."""
    counts = np.array([len(ranks) for ranks in hit_ranks])
    ranks = np.concatenate([*hit_ranks, np.empty(0, dtype=np.int64)])
    ends = np.cumsum(counts)
    after, before = _precisions(np.arange(len(ranks)) - np.repeat(ends - counts, counts), ranks)
    valid = counts > 0
    first = np.full(len(counts), -1, dtype=np.int64)
    first[valid] = ranks[(ends - counts)[valid]]
    step, trapezoid, penalty = (np.full(len(counts), np.nan) for _ in range(3))
    owners = np.repeat(np.arange(len(counts)), counts)
    step[valid] = np.bincount(owners, after, len(counts))[valid] / counts[valid]
    trapezoid[valid] = np.bincount(owners, (after + before) / 2, len(counts))[valid] / counts[valid]
    penalty[valid] = counts[valid] / (ranks[ends[valid] - 1] + 1)
    return RetrievalResult(first, step, trapezoid, penalty, num_gallery)
