"""When the person may not be in the gallery at all: verification, and identification with the right to say "nobody".

The rates are those of ISO/IEC 19795-1 and of Phillips, Grother and Micheals (Handbook of Face Recognition, 2011).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.labels import Exclude, PeopleLabels, same_person_pairs
from reid.evaluation.score_histogram import ScoreHistogram
from reid.evaluation.scores import check_pair, score_blocks


@dataclass(frozen=True)
class Roc:
    """Of pairs: the share of different-person and of same-person pairs that reach each score, all (N,), scores rising.

    Resolved to a thousandth of score; made by :func:`verification_roc`.
    """

    scores: NDArray[np.float64]
    false_match_rates: NDArray[np.float64]
    true_match_rates: NDArray[np.float64]

    @property
    def equal_error_rate(self) -> float:
        """The rate at which as many strangers are let through as true pairs are missed, interpolated."""
        # Misses minus false matches rise with the score, from -1 to 1: their zero is the equal error.
        excess = (1 - self.true_match_rates) - self.false_match_rates
        after = int(np.searchsorted(excess, 0.0))
        if after == 0:
            return float(self.false_match_rates[0])
        low, high = excess[after - 1], excess[after]
        share = -low / (high - low)
        return float((1 - share) * self.false_match_rates[after - 1] + share * self.false_match_rates[after])

    def true_match_rate_at(self, false_match_rate: float) -> float:
        """The greatest true-match rate at a threshold with at most this false-match rate. ``ValueError`` below 0."""
        if not false_match_rate >= 0:
            raise ValueError(f"expected a false-match rate of at least 0, got {false_match_rate}")
        return float(self.true_match_rates[self.false_match_rates <= false_match_rate].max())


def verification_roc(histogram: ScoreHistogram) -> Roc:
    """The curve over every threshold from -1 to just above 1. Raises ``ValueError`` when a kind of pair is missing."""
    histogram.require_both()
    genuine, impostor = histogram.reaching()
    return Roc(
        scores=np.append(histogram.scores, np.nextafter(1.0, 2.0)),
        false_match_rates=np.append(impostor / impostor[0], 0.0),
        true_match_rates=np.append(genuine / genuine[0], 0.0),
    )


@dataclass(frozen=True)
class TopScores:
    """Per query, (Q,) float32: the best score of its own person, and the best of anyone else; -inf for none."""

    own: NDArray[np.float32]
    other: NDArray[np.float32]

    def threshold_at(self, false_alarm_rate: float) -> float:
        """The lowest score that at most this share of searches for people *not* in the gallery reaches.

        Each query is such a search once its own person is taken out of the gallery. Raises ``ValueError`` when the
        rate is not in [0, 1), or below one search in all: a rate between 0 and that was not measured.
        """
        num = len(self.other)
        if not 0 <= false_alarm_rate < 1 or 0 < false_alarm_rate < 1 / num:
            raise ValueError(
                f"expected a false-alarm rate of 0, or from 1 in {num} searches up to 1, got {false_alarm_rate}"
            )
        falling = np.sort(self.other)[::-1]
        return float(np.nextafter(falling[int(false_alarm_rate * num + 1e-9)], np.float32(np.inf)))

    def identification_rate(self, false_alarm_rate: float) -> float:
        """Detection-and-identification rate at rank 1: of queries whose person *is* there, the share answered right.

        Right means that the best match is of the query's person and reaches :meth:`threshold_at`. Raises as it does,
        and ``ValueError`` when nobody's person is there.

        >>> top = TopScores(np.float32([0.9, 0.8, 0.3, 0.7]), np.float32([0.2, 0.4, 0.5, 0.6]))
        >>> top.identification_rate(false_alarm_rate=0.25)  # 0.6 may pass, 0.5 not: 0.9, 0.8 and 0.7 are found
        0.75
        """
        present = np.isfinite(self.own)
        if not present.any():
            raise ValueError("expected a query whose person is in the gallery, got none")
        right = (self.own > self.other) & (self.own >= self.threshold_at(false_alarm_rate))
        return float(right[present].mean())


def top_scores(
    query: NDArray[np.float32],
    gallery: NDArray[np.float32],
    query_labels: PeopleLabels,
    gallery_labels: PeopleLabels,
    *,
    exclude: Exclude = Exclude.SAME_CAMERA,
) -> TopScores:
    """Best own and best other score of (Q, D) queries in a (G, D) gallery of unit rows; junk is left out.

    What `exclude` drops counts as neither. Raises as :func:`~reid.evaluation.scores.check_pair`.
    """
    check_pair(query, gallery, query_labels, gallery_labels)
    kept = gallery_labels.without_junk()
    pairs = same_person_pairs(query_labels, gallery_labels[kept], exclude)
    own, other = (np.full(len(query), -np.inf, dtype=np.float32) for _ in range(2))
    for rows, scores in score_blocks(query, gallery[kept]):
        ours = pairs.of_queries(rows)
        np.maximum.at(own[rows], ours.hits[0], scores[ours.hits])
        scores[ours.queries, ours.gallery] = -np.inf
        other[rows] = scores.max(axis=1, initial=-np.inf)
    return TopScores(own, other)
