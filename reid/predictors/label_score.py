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


def ranked(labels: Sequence[str], scores: NDArray[np.float32]) -> list[LabelScore]:
    """Labels (L) with their scores (L,), best first; equal scores in the labels' own order."""
    return [LabelScore(labels[place], float(scores[place])) for place in np.argsort(-scores, kind="stable")]
