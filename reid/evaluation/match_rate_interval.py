"""Intervals of a false-match and a true-match rate, by resampling people on both sides of every pair."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.bootstrap import Interval, interval_of, people_draws
from reid.evaluation.labels import Exclude, PeopleLabels, same_person_pairs
from reid.evaluation.scores import check_pair, score_blocks

_Counts = NDArray[np.float64]


@dataclass(frozen=True)
class MatchRateIntervals:
    """At `score`: where the shares of different-person and of same-person pairs that reach it may lie."""

    score: float
    false_match_rate: Interval
    true_match_rate: Interval


def match_rate_intervals(
    query: NDArray[np.float32],
    gallery: NDArray[np.float32],
    query_labels: PeopleLabels,
    gallery_labels: PeopleLabels,
    *,
    score: float,
    exclude: Exclude = Exclude.SAME_CAMERA,
    seed: int = 0,
) -> MatchRateIntervals:
    """Bootstrap both rates at one threshold. A pair weighs what its two people were drawn, multiplied.

    Distractors (pid 0) are many unknown people: they are kept as they are. Raises as
    :func:`~reid.evaluation.scores.check_pair`, and ``ValueError`` with fewer than 2 people or a kind of pair missing.
    """
    check_pair(query, gallery, query_labels, gallery_labels)
    kept = gallery_labels.without_junk()
    gallery, gallery_labels = gallery[kept], gallery_labels[kept]
    people = np.unique(query_labels.pids)
    asked = np.searchsorted(people, query_labels.pids)
    # Gallery people whom nobody asks for, distractors among them, share the last column.
    found = np.searchsorted(people, gallery_labels.pids)
    found[~np.isin(gallery_labels.pids, people)] = len(people)
    pairs = same_person_pairs(query_labels, gallery_labels, exclude)
    order = np.argsort(found, kind="stable")
    starts = np.searchsorted(found[order], np.arange(len(people) + 1))
    reached = np.zeros((len(people), len(people) + 1))
    same = np.zeros((2, len(people)))  # genuine pairs of each person: all, and those that reach the score
    for rows, scores in score_blocks(query, gallery):
        ours = pairs.of_queries(rows)
        hits = scores[ours.hits] >= score
        owners = asked[rows][ours.hits[0]]
        same += np.bincount(owners, minlength=len(people)), np.bincount(owners, hits, len(people))
        scores[ours.queries, ours.gallery] = -np.inf
        _add_by_person(reached, asked[rows], (scores >= score)[:, order], starts)
    every = np.outer(np.bincount(asked), np.bincount(found, minlength=len(people) + 1)).astype(np.float64)
    every[np.arange(len(people)), np.arange(len(people))] = 0
    return _resample(score, reached, every, same, seed)


def _add_by_person(
    totals: _Counts, asked: NDArray[np.int64], hits: NDArray[np.bool_], starts: NDArray[np.int64]
) -> None:
    sums = np.zeros((len(hits), hits.shape[1] + 1), dtype=np.int32)
    np.cumsum(hits, axis=1, out=sums[:, 1:])
    ends = np.append(starts[1:], hits.shape[1])
    np.add.at(totals, asked, sums[:, ends] - sums[:, starts])


def _resample(score: float, reached: _Counts, every: _Counts, same: _Counts, seed: int) -> MatchRateIntervals:
    if not every.any() or not same[0].any():
        raise ValueError("expected pairs of the same person and pairs of different people, got one kind only")
    false, true = [], []
    for draws in people_draws(len(reached), seed):
        both = np.column_stack([draws, np.ones(len(draws))])
        false.append(_shares(((draws @ reached) * both).sum(axis=1), ((draws @ every) * both).sum(axis=1)))
        true.append(_shares(draws @ same[1], draws @ same[0]))
    return MatchRateIntervals(
        score, interval_of(np.concatenate(false), len(reached)), interval_of(np.concatenate(true), len(reached))
    )


def _shares(reached: _Counts, every: _Counts) -> _Counts:
    """Of the draws that hold such pairs at all: with very few people, some do not."""
    return reached[every > 0] / every[every > 0]
