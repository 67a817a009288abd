"""How the scores of same and of different people lie: the counts behind calibrations, ROC curves and histograms."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.labels import Exclude, PeopleLabels, SamePersonPairs, same_person_pairs
from reid.evaluation.scores import check_pair, score_blocks

_BINS_PER_UNIT = 1000
_BINS = 2 * _BINS_PER_UNIT


@dataclass(frozen=True)
class ScoreHistogram:
    """Pairs of the same person (`genuine`) and of different people (`impostor`) per bin of score, both (2000,) int64.

    Bin b holds scores from ``-1 + b / 1000`` up to the next bin's.
    """

    genuine: NDArray[np.int64]
    impostor: NDArray[np.int64]

    @property
    def scores(self) -> NDArray[np.float64]:
        """The lower edge of each bin, (2000,)."""
        return np.linspace(-1.0, 1.0, _BINS + 1)[:-1]

    def reaching(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """How many genuine and how many impostor pairs reach each bin's lower edge, (2000,) each."""
        return self.genuine[::-1].cumsum()[::-1], self.impostor[::-1].cumsum()[::-1]

    def require_both(self) -> None:
        """Raise ``ValueError`` when there is no pair of the same person or none of different people."""
        if not self.genuine.any() or not self.impostor.any():
            raise ValueError(
                f"expected pairs of the same person across cameras and pairs of different people, "
                f"got {self.genuine.sum()} and {self.impostor.sum()}"
            )

    @staticmethod
    def total(histograms: Iterable["ScoreHistogram"]) -> "ScoreHistogram":
        """The sum of some histograms."""
        empty = np.zeros(_BINS, dtype=np.int64)
        some = list(histograms)
        return ScoreHistogram(sum((h.genuine for h in some), empty), sum((h.impostor for h in some), empty))


def score_histograms(
    query: NDArray[np.float32],
    gallery: NDArray[np.float32],
    query_labels: PeopleLabels,
    gallery_labels: PeopleLabels,
    *,
    exclude: Exclude = Exclude.SAME_CAMERA,
) -> dict[tuple[int, int], ScoreHistogram]:
    """Count all pairs of (Q, D) queries with a (G, D) gallery, both unit rows, by (query camid, gallery camid).

    Genuine are pairs of one person that `exclude` leaves in; impostor are pairs of different people, distractors
    (pid 0) included; junk is in neither. Raises as :func:`~reid.evaluation.scores.check_pair`.
    """
    check_pair(query, gallery, query_labels, gallery_labels)
    kept = gallery_labels.without_junk()
    gallery, gallery_labels = gallery[kept], gallery_labels[kept]
    camids, columns = np.unique(gallery_labels.camids, return_inverse=True)
    histograms = {}
    for camid in np.unique(query_labels.camids).tolist():
        asking = query_labels.camids == camid
        pairs = same_person_pairs(query_labels[asking], gallery_labels, exclude)
        genuine, impostor = _count(query[asking], gallery, pairs, columns)
        for other, *counts in zip(camids.tolist(), genuine, impostor, strict=True):
            histograms[camid, other] = ScoreHistogram(*counts)
    return histograms


def _count(
    query: NDArray[np.float32], gallery: NDArray[np.float32], pairs: SamePersonPairs, columns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Genuine and impostor counts of one camera's queries by the gallery's camera and bin, (C, 2000) each."""
    size = (int(columns.max()) + 1) * _BINS
    every, same, genuine = (np.zeros(size, dtype=np.int64) for _ in range(3))
    for rows, scores in score_blocks(query, gallery):
        cells = _bins(scores) + columns * _BINS
        ours = pairs.of_queries(rows)
        # Same-person pairs are few: count everyone, then take them away again.
        every += np.bincount(cells.ravel(), minlength=size)
        same += np.bincount(cells[ours.queries, ours.gallery], minlength=size)
        genuine += np.bincount(cells[ours.hits], minlength=size)
    return genuine.reshape(-1, _BINS), (every - same).reshape(-1, _BINS)


def _bins(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    scores += 1
    scores *= _BINS_PER_UNIT
    return np.clip(scores, 0, _BINS - 1, out=scores).astype(np.int64)
