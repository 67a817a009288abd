"""An operator's labelled crops: files with the names of a person and a camera, from a folder or a table."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid.errors import DatasetError
from reid.evaluation.labels import DISTRACTOR_PID, JUNK_PID, PeopleLabels

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_RESERVED = {"-1": JUNK_PID, "0": DISTRACTOR_PID, "0000": DISTRACTOR_PID}


@dataclass(frozen=True)
class LabelledCrop:
    """One file and what is known of it; `tracklet` names one of this person's runs on this camera, where known."""

    path: Path
    person: str
    camera: str
    tracklet: str | None = None


@dataclass(frozen=True)
class LabelledCrops:
    """Crops sorted by path; `labels` (N,) number people and cameras, whose names the two mappings give back.

    The person `-1` is junk and `0` or `0000` a distractor, as in Market-1501. `num_duplicate_files` copies with the
    same labels were left out.
    """

    root: Path
    paths: tuple[Path, ...]
    labels: PeopleLabels
    person_names: Mapping[int, str]
    camera_names: Mapping[int, str]
    num_duplicate_files: int

    def chosen(self, rows: NDArray[np.bool_]) -> "LabelledCrops":
        """The crops where `rows` (N,) is true, under the numbers they have here."""
        paths = tuple(path for path, kept in zip(self.paths, rows, strict=True) if kept)
        return dataclasses.replace(self, paths=paths, labels=self.labels[np.flatnonzero(rows)])


def label_crops(root: Path, crops: Sequence[LabelledCrop]) -> LabelledCrops:
    """Number the names and leave out copies of the same bytes.

    Raises :class:`DatasetError` when there are no crops, when a file cannot be read, when two files of the same bytes
    carry different labels, and when some crops have tracklets and others do not.
    """
    if not crops:
        raise DatasetError(f"{root}: expected labelled crops, got none")
    kept = _without_copies(sorted(crops, key=lambda crop: crop.path))
    people = sorted({crop.person for crop in kept} - set(_RESERVED))
    pids = _RESERVED | {name: number for number, name in enumerate(people, start=1)}
    camids = {name: number for number, name in enumerate(sorted({crop.camera for crop in kept}), start=1)}
    labels = PeopleLabels(
        np.array([pids[crop.person] for crop in kept], dtype=np.int64),
        np.array([camids[crop.camera] for crop in kept], dtype=np.int64),
        _tracklets(root, kept),
    )
    return LabelledCrops(
        root=root,
        paths=tuple(crop.path for crop in kept),
        labels=labels,
        person_names={JUNK_PID: "junk", DISTRACTOR_PID: "distractor"} | {pids[name]: name for name in people},
        camera_names={number: name for name, number in camids.items()},
        num_duplicate_files=len(crops) - len(kept),
    )


def _without_copies(crops: Sequence[LabelledCrop]) -> list[LabelledCrop]:
    first_of: dict[bytes, LabelledCrop] = {}
    for crop in crops:
        first = first_of.setdefault(_digest(crop.path), crop)
        if (first.person, first.camera) != (crop.person, crop.camera):
            raise DatasetError(
                f"{crop.path}: expected one label for the same bytes, got person {crop.person!r} on camera "
                f"{crop.camera!r} here and {first.person!r} on {first.camera!r} in {first.path}"
            )
    return list(first_of.values())


def _digest(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from error


def _tracklets(root: Path, crops: Sequence[LabelledCrop]) -> NDArray[np.int64] | None:
    known = [crop for crop in crops if crop.tracklet is not None]
    if not known:
        return None
    if len(known) != len(crops):
        raise DatasetError(f"{root}: expected tracklets of all crops or of none, got {len(known)} of {len(crops)}")
    names = [(crop.person, crop.camera, crop.tracklet) for crop in crops]
    numbers = {name: number for number, name in enumerate(sorted(set(names), key=str))}
    return np.array([numbers[name] for name in names], dtype=np.int64)
