"""What a classifier answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LabelScore:
    """A label and the probability that the model gives it, in [0, 1]."""

    label: str
    score: float


def mean_labels(windows: Sequence[Sequence[LabelScore]]) -> list[LabelScore]:
    """The mean of every label's scores over windows (at least one), best first; equal scores in the labels' order."""
    sums: dict[str, float] = {}
    for label, score in sorted((one.label, one.score) for window in windows for one in window):
        sums[label] = sums.get(label, 0.0) + score
    means = [LabelScore(label, total / len(windows)) for label, total in sums.items()]
    return sorted(means, key=lambda one: -one.score)


def ranked(labels: Sequence[str], scores: NDArray[np.float32]) -> list[LabelScore]:
    """Labels (L) with their scores (L,), best first; equal scores in the labels' own order."""
    return [LabelScore(labels[place], float(scores[place])) for place in np.argsort(-scores, kind="stable")]
