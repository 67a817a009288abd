"""What a run learns from, and what its bundle is judged on: never the same people."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid.datasets.crop import Crop
from reid.datasets.labelled import LabelledCrops
from reid.datasets.market1501 import dataset_root, read_market1501
from reid.datasets.split import Split, is_market1501, labelled_name, read_labelled, split_of_crops, split_of_market
from reid.errors import DatasetError

_TEST_EVERY = 5


@dataclass(frozen=True)
class TrainingData:
    """Crops to learn from, and other people's to be judged on."""

    crops: tuple[Crop, ...]
    test: Split


def read_training_data(data: Path) -> TrainingData:
    """Read Market-1501 (or a folder in its layout), a folder per person, or a `.csv` table.

    Market-1501 has its own parts. Elsewhere every fifth person by name, of those whom two cameras saw, is kept for the
    test with the distractors; all others are learned from, and so is a person with a single crop. Raises
    :class:`DatasetError` that names what does not fit, such as fewer than two people on two cameras.
    """
    if is_market1501(data):
        market = read_market1501(data)
        return TrainingData(market.train, split_of_market(market, dataset_root(data)))
    labelled = read_labelled(data)
    test_pids = _test_people(labelled)
    pids = labelled.labels.pids
    test = split_of_crops(
        labelled.chosen(np.isin(pids, test_pids) | (pids < 1)), f"{labelled_name(data)}, people kept back"
    )
    return TrainingData(_crops(labelled.chosen(~np.isin(pids, test_pids) & (pids > 0))), test)


def _test_people(labelled: LabelledCrops) -> NDArray[np.int64]:
    """Every fifth person whom two cameras saw, and two people at least."""
    labels = labelled.labels
    seen = np.unique(np.stack([labels.pids, labels.camids])[:, labels.pids > 0], axis=1)
    people, num_cameras = np.unique(seen[0], return_counts=True)
    crossing = people[num_cameras > 1]
    if len(crossing) < 2 or len(people) < 4:
        raise DatasetError(
            f"{labelled.root}: expected at least 4 people, 2 of them seen by 2 cameras and kept for the test, "
            f"got {len(people)}, of whom {len(crossing)} were seen by 2 cameras"
        )
    return crossing[:: min(_TEST_EVERY, len(crossing) - 1)]


def _crops(labelled: LabelledCrops) -> tuple[Crop, ...]:
    rows = zip(labelled.paths, labelled.labels.pids.tolist(), labelled.labels.camids.tolist(), strict=True)
    return tuple(Crop(path, pid, camid) for path, pid, camid in rows)
