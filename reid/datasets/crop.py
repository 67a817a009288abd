"""One labelled crop on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reid.evaluation.labels import PeopleLabels


@dataclass(frozen=True)
class Crop:
    """A file, whom it shows and which camera took it; `pid` -1 is junk, 0 a distractor."""

    path: Path
    pid: int
    camid: int


def labels_of(crops: Sequence[Crop]) -> PeopleLabels:
    """The crops' pids and camids."""
    return PeopleLabels(
        np.array([crop.pid for crop in crops], dtype=np.int64),
        np.array([crop.camid for crop in crops], dtype=np.int64),
    )
