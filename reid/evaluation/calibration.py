"""From a score to the rate of false matches it implies, measured on labelled people.

A cosine alone says little: 0.6 may be certain for one network and noise for another. A calibration is the table
that was measured: at each score, which share of comparisons between *different* people reach it (the false-match
rate, ISO/IEC 19795-1) and which share of comparisons of the *same* person across cameras do (the true-match rate).
"""

import dataclasses
import itertools
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid.evaluation.labels import Exclude, PeopleLabels
from reid.evaluation.score_histogram import ScoreHistogram, score_histograms


@dataclass(frozen=True)
class Calibration:
    """Measured rates at rising scores; between them the logarithm of the rate is interpolated.

    `scores` rise; `false_match_rates` fall and stay above 0 (each bin counts at least one pair); below the first
    score the rate is 1. Above the last score nothing was observed: the rate is the smallest one measured, an upper
    bound. `domain` names the people and cameras that it was measured on.
    """

    domain: str
    scores: tuple[float, ...]
    false_match_rates: tuple[float, ...]
    true_match_rates: tuple[float, ...]
    num_impostor_pairs: int
    num_genuine_pairs: int

    def __post_init__(self) -> None:
        """Raise ``ValueError`` when the columns do not form such a table."""
        lengths = {len(self.scores), len(self.false_match_rates), len(self.true_match_rates)}
        if len(lengths) != 1 or not self.scores:
            raise ValueError(f"expected three columns of one length, at least 1, got {sorted(lengths)}")
        if any(low >= high for low, high in itertools.pairwise(self.scores)):
            raise ValueError("expected rising scores")
        if any(low < high for low, high in itertools.pairwise(self.false_match_rates)):
            raise ValueError("expected false-match rates that fall with the score")
        if not all(0 < rate <= 1 for rate in self.false_match_rates):
            raise ValueError("expected false-match rates in (0, 1]")

    def false_match_rate(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Share of different-person comparisons that reach each score; same shape as `scores`.

        >>> Calibration("two", (0.2, 0.4), (0.1, 0.001), (0.9, 0.5), 1000, 10).false_match_rate([0.0, 0.3, 0.9])
        array([1.   , 0.01 , 0.001])
        """
        given = np.asarray(scores, dtype=np.float64)
        rates = np.exp(np.interp(given, self.scores, np.log(self.false_match_rates)))
        return np.where(given < self.scores[0], 1.0, rates)

    def true_match_rate(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Share of same-person comparisons across cameras that reach each score; same shape as `scores`."""
        return np.asarray(np.interp(np.asarray(scores), self.scores, self.true_match_rates, left=1.0), dtype=np.float64)

    def expected_false_matches(self, scores: ArrayLike, num_sightings: int) -> NDArray[np.float64]:
        """How many strangers one search of a gallery of this size meets at each score; same shape as `scores`.

        >>> two = Calibration("two", (0.2, 0.4), (0.1, 0.001), (0.9, 0.5), 1000, 10)
        >>> two.expected_false_matches(0.4, num_sightings=200_000)
        array(200.)
        """
        return np.asarray(self.false_match_rate(scores) * num_sightings)

    def score_at(self, false_match_rate: float) -> float:
        """The lowest score whose false-match rate is at most the one given.

        Raises ``ValueError`` when the rate is not in (0, 1] or below what was measured: a threshold for it would be
        a guess.
        """
        lowest = self.false_match_rates[-1]
        if not lowest <= false_match_rate <= 1:
            raise ValueError(
                f"expected a false-match rate from {lowest:.1e}, the smallest measured on "
                f"{self.num_impostor_pairs} pairs, to 1, got {false_match_rate}"
            )
        if false_match_rate > self.false_match_rates[0]:
            return self.scores[0]
        falling_logs = -np.log(self.false_match_rates)
        return float(np.interp(-np.log(false_match_rate), falling_logs, self.scores))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; :meth:`from_json` reads them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        """Read :meth:`to_json`'s form. Raises ``TypeError`` on unknown or missing fields, ``ValueError`` on values."""
        columns = ("scores", "false_match_rates", "true_match_rates")
        return cls(**raw | {name: tuple(raw[name]) for name in columns})


def calibrate(
    query: NDArray[np.float32],
    gallery: NDArray[np.float32],
    query_labels: PeopleLabels,
    gallery_labels: PeopleLabels,
    *,
    domain: str,
    exclude: Exclude = Exclude.SAME_CAMERA,
) -> Calibration:
    """Measure a calibration from unit vectors: (Q, D) queries against a (G, D) gallery.

    Same person means same pid on another camera (another rule: `exclude`); junk (-1) is left out and distractors (0)
    are different people. Raises ``ValueError`` when there is no pair of the same person or none of different people,
    and as :func:`~reid.evaluation.scores.check_pair`.
    """
    histograms = score_histograms(query, gallery, query_labels, gallery_labels, exclude=exclude)
    return calibration_of(ScoreHistogram.total(histograms.values()), domain)


def calibration_of(histogram: ScoreHistogram, domain: str) -> Calibration:
    """The table of counts already made. Raises ``ValueError`` when one kind of pair is missing."""
    histogram.require_both()
    reach_genuine, reach_impostor = histogram.reaching()
    observed = np.flatnonzero(reach_impostor)
    # The last edge of each level: what lies between two levels is then over- and never understated.
    levels = observed[np.flatnonzero(np.diff(reach_impostor[observed], append=-1))]
    kept = _thin(levels, reach_impostor)
    return Calibration(
        domain=domain,
        scores=tuple(float(score) for score in histogram.scores[kept].round(6)),
        false_match_rates=tuple((reach_impostor[kept] / reach_impostor[0]).tolist()),
        true_match_rates=tuple((reach_genuine[kept] / reach_genuine[0]).round(6).tolist()),
        num_impostor_pairs=int(reach_impostor[0]),
        num_genuine_pairs=int(reach_genuine[0]),
    )


def _thin(positions: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Keep positions a tenth of a decade of rate apart, first and last included: the curve, not its noise."""
    decades = np.floor(10 * np.log10(counts[positions])).astype(np.int64)
    keep = np.diff(decades, prepend=decades[0] + 1) != 0
    keep[-1] = True
    kept: NDArray[np.int64] = positions[keep]
    return kept
