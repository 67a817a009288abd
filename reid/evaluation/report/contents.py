"""What a report holds, and its JSON form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from reid.evaluation.calibration import Calibration, calibration_of
from reid.evaluation.hardest import HardQuery
from reid.evaluation.hygiene import Hygiene
from reid.evaluation.open_set import Roc, verification_roc
from reid.evaluation.retrieval import RetrievalResult
from reid.evaluation.score_histogram import ScoreHistogram

MAX_RANK = 50
_DECADES = 10.0 ** np.arange(-6, 0)


@dataclass(frozen=True)
class Report:
    """One evaluation of one bundle. `domain` and `protocol` stand beside every number.

    `figures` are those of `evaluate --json`. `query_names` and `gallery_names` are what rows are called, by row;
    `pictures` are JPEG bytes of some of these names, and without them the page has no pictures of people.
    """

    title: str
    bundle_id: str
    domain: str
    protocol: str
    figures: Mapping[str, Any]
    result: RetrievalResult
    histogram: ScoreHistogram
    camera_pairs: Mapping[tuple[str, str], RetrievalResult]
    hardest: Sequence[HardQuery]
    hygiene: Hygiene
    query_names: Sequence[str]
    gallery_names: Sequence[str]
    person_names: Mapping[int, str]
    pictures: Mapping[str, bytes] = field(default_factory=dict)

    @cached_property
    def roc(self) -> Roc:
        """Of all pairs."""
        return verification_roc(self.histogram)

    @cached_property
    def calibration(self) -> Calibration:
        """What the scores mean here."""
        return calibration_of(self.histogram, self.domain)

    @property
    def roc_points(self) -> list[tuple[float, float]]:
        """False-match rates of whole decades, as far as there are pairs to measure them on, and true-match rates."""
        lowest = 1 / int(self.histogram.impostor.sum())
        return [(rate, self.roc.true_match_rate_at(rate)) for rate in _DECADES.tolist() if rate >= lowest]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; names, not pictures."""
        return {
            "title": self.title,
            "bundle_id": self.bundle_id,
            **self.figures,
            "domain": self.domain,
            "protocol": self.protocol,
            "cmc": self.result.cmc(MAX_RANK).tolist(),
            "roc": [{"false_match_rate": fmr, "true_match_rate": tmr} for fmr, tmr in self.roc_points],
            "calibration": self.calibration.to_json(),
            "camera_pairs": [_camera_pair(names, result) for names, result in self.camera_pairs.items()],
            "hardest_queries": [self._hard_query(hard) for hard in self.hardest],
            "gallery": self._hygiene(),
        }

    def _hard_query(self, hard: HardQuery) -> dict[str, Any]:
        matches = zip(hard.gallery_rows, hard.scores, hard.right, strict=True)
        return {
            "query": self.query_names[hard.query_row],
            "average_precision": hard.average_precision,
            "first_hit": hard.first_hit_rank + 1,
            "matches": [
                {"crop": self.gallery_names[row], "score": score, "right": right} for row, score, right in matches
            ],
        }

    def _hygiene(self) -> dict[str, Any]:
        found, crop, person = self.hygiene, self.gallery_names, self.person_names
        return {
            "num_outliers": found.num_outliers,
            "outliers": [
                {
                    "crop": crop[outlier.row],
                    "own_score": outlier.own_score,
                    "other_person": person[outlier.other_pid],
                    "other_score": outlier.other_score,
                }
                for outlier in found.outliers
            ],
            "look_alikes": [
                {"people": [person[pair.pid], person[pair.other_pid]], "score": pair.score}
                for pair in found.look_alikes
            ],
            "num_near_duplicates": found.num_near_duplicates,
            "num_near_duplicates_across_people": found.num_near_duplicates_across_people,
            "near_duplicates": [
                {"crops": [crop[pair.row], crop[pair.other_row]], "score": pair.score, "same_person": pair.same_person}
                for pair in found.near_duplicates
            ],
        }


def _camera_pair(names: tuple[str, str], result: RetrievalResult) -> dict[str, Any]:
    return {
        "query_camera": names[0],
        "gallery_camera": names[1],
        "rank_1": result.rank(1),
        "mean_ap": result.mean_ap,
        "num_valid_queries": result.num_valid_queries,
        "num_gallery": result.num_gallery,
    }
