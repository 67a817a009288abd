"""Which crops are trained on, and which are kept back to watch it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from reid.datasets.crop import Crop
from reid.errors import DatasetError


@dataclass(frozen=True)
class HeldOut:
    """Whole people, to search for; and crops of people who are trained on, to classify."""

    people: tuple[Crop, ...]
    crops: tuple[Crop, ...]


def hold_out(crops: Sequence[Crop], *, people: int, crops_each: int) -> tuple[tuple[Crop, ...], HeldOut]:
    """Split off the first `people` by pid, and of everyone else the first `crops_each` crops by file name.

    The first, because a study at a small scale trains on those: a run that held them out may lend it initial weights.

    Returns what is left to train on, and what was kept back. Raises :class:`DatasetError` when fewer than two people,
    or a person without a crop, would be left.
    """
    pids = sorted({crop.pid for crop in crops})
    if people > len(pids) - 2:
        raise DatasetError(f"expected to hold out at most {len(pids) - 2} of the {len(pids)} people, got {people}")
    kept_back = set(pids[:people])
    whole_people = tuple(crop for crop in crops if crop.pid in kept_back)
    rest: list[Crop] = []
    single_crops: list[Crop] = []
    others = sorted((crop for crop in crops if crop.pid not in kept_back), key=lambda crop: (crop.pid, crop.path))
    for pid, group in groupby(others, key=lambda crop: crop.pid):
        own = list(group)
        if len(own) <= crops_each:
            raise DatasetError(f"expected more than {crops_each} crops of every person, got {len(own)} of person {pid}")
        single_crops += own[:crops_each]
        rest += own[crops_each:]
    return tuple(rest), HeldOut(whole_people, tuple(single_crops))


def first_people(crops: Sequence[Crop], people: int) -> tuple[Crop, ...]:
    """The crops of the first `people` by pid; of all where `people` is 0. Raises :class:`DatasetError` for too many."""
    pids = sorted({crop.pid for crop in crops})
    if people > len(pids):
        raise DatasetError(f"expected to train on at most the {len(pids)} people there are, got {people}")
    chosen = set(pids[:people] if people else pids)
    return tuple(crop for crop in crops if crop.pid in chosen)
