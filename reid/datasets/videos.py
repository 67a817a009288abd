"""Labelled clips: a folder per label, and which clips come from one recording."""

import re
from enum import StrEnum
from pathlib import Path

import numpy as np

from reid.datasets.classes import LabelledFiles
from reid.datasets.clip_manifest import read_manifest
from reid.datasets.hmdb51 import SPLITS
from reid.errors import DatasetError

SUFFIXES = (".avi", ".mp4", ".mkv", ".webm", ".mov")
_RANGE = 10
_HMDB51 = re.compile(r"(?P<source>.+)_[a-z]_[a-z]{2}_np\d_[a-z]{2}_[a-z]{3}_\d+")
_UCF101 = re.compile(r"v_(?P<label>[A-Za-z]+)_(?P<group>g\d+)_c\d+")


class Grouping(StrEnum):
    """How a clip's recording is told from its name, so that no recording falls on both sides of a split.

    `ranges`: runs of ten by the number in the name. `hmdb51`: what stands before the six tags. `ucf101`: `gNN`.
    """

    NONE = "none"
    RANGES = "ranges"
    HMDB51 = "hmdb51"
    UCF101 = "ucf101"


def read_videos(data: Path, grouping: Grouping) -> LabelledFiles:
    """Read a folder per label, or what of it a manifest (`.csv`) does not leave out.

    Raises :class:`DatasetError` that names what does not fit.
    """
    if data.suffix.lower() == ".csv":
        rows = read_manifest(data)
    else:
        rows = [(path, path.parent.name) for path in files_of(data)]
        if odd := [path for path, _ in rows if path.suffix.lower() not in SUFFIXES]:
            raise DatasetError(f"{odd[0]}: expected a clip ({', '.join(SUFFIXES)})")
    names = tuple(sorted({label for _, label in rows}))
    if len(names) < 2:
        raise DatasetError(f"{data}: expected clips of at least 2 labels, got {list(names)}")
    clips = [path for path, _ in rows]
    labels = np.array([names.index(label) for _, label in rows], dtype=np.int64)
    return LabelledFiles(tuple(clips), labels, names, _groups(clips, grouping))


def files_of(root: Path) -> list[Path]:
    """Every file in the folders of a folder per label, whatever it is; none of it is looked into.

    Raises :class:`DatasetError` for less than two labels and for an empty folder.
    """
    if not root.is_dir():
        raise DatasetError(f"expected a folder per label, got {root}, which is not a folder")
    folders = [path for path in sorted(root.iterdir()) if path.is_dir() and path.name[0] != "." and path.name != SPLITS]
    if len(folders) < 2:
        raise DatasetError(f"{root}: expected folders of at least 2 labels, got {[folder.name for folder in folders]}")
    return [path for folder in folders for path in _files(folder)]


def recording_of(path: Path, grouping: Grouping) -> str:
    """The recording that a clip's name tells.

    >>> recording_of(Path("fight/fi012.mp4"), Grouping.RANGES)
    'fight/1'
    >>> recording_of(Path("wave/TrumanShow_wave_f_nm_np1_fr_med_26.avi"), Grouping.HMDB51)
    'TrumanShow_wave'
    >>> recording_of(Path("YoYo/v_YoYo_g03_c01.avi"), Grouping.UCF101)
    'YoYo/g03'
    """
    match grouping:
        case Grouping.RANGES:
            number = re.search(r"\d+", path.stem)
            if number is None:
                raise DatasetError(f"{path}: expected a number in the name, to group by ranges")
            return f"{path.parent.name}/{int(number[0]) // _RANGE}"
        case Grouping.HMDB51:
            # A name that has none of the tags is a recording of its own.
            found = _HMDB51.fullmatch(path.stem)
            return found["source"] if found else path.stem
        case _:
            named = _UCF101.fullmatch(path.stem)
            if named is None:
                raise DatasetError(f"{path}: expected a name like v_YoYo_g01_c01.avi")
            return f"{named['label']}/{named['group']}"


def _groups(clips: list[Path], grouping: Grouping) -> np.ndarray[tuple[int], np.dtype[np.int64]] | None:
    if grouping is Grouping.NONE:
        return None
    recordings = [recording_of(path, grouping) for path in clips]
    numbers = {name: number for number, name in enumerate(sorted(set(recordings)))}
    return np.array([numbers[name] for name in recordings], dtype=np.int64)


def _files(folder: Path) -> list[Path]:
    files = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    if not files:
        raise DatasetError(f"{folder}: expected clips of the label {folder.name!r}, got an empty folder")
    return files
