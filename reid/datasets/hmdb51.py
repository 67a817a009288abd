"""HMDB51's official splits: for each label and split a file that says which clip is for what."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid.errors import DatasetError

SPLITS = "testTrainMulti_7030_splits"
NUM_SPLITS = 3
UNUSED, TRAIN, TEST = 0, 1, 2


def official_parts(clips: Sequence[Path], split: int) -> NDArray[np.int64]:
    """(N,) of 0 (in neither part), 1 (train) or 2 (test) for clips `LABEL/NAME.avi`, in split 1, 2 or 3.

    The files `LABEL_test_splitN.txt`, lines of a clip's name and a number, lie in `testTrainMulti_7030_splits`, in the
    folder that holds the labels' folders or beside it. Raises :class:`DatasetError` where there are none, where they do
    not list a clip, and where a clip that they train or test on is missing: figures of fewer are not of this split.
    """
    listed = _listed(clips, split)
    there = {(clip.parent.name, clip.name) for clip in clips}
    if missing := sorted(name for name, part in listed.items() if part != UNUSED and name not in there):
        label, name = missing[0]
        raise DatasetError(
            f"expected every clip of the official split {split}, {len(missing)} are missing: first {label}/{name}"
        )
    if unlisted := sorted(there - listed.keys()):
        raise DatasetError(f"expected the official split {split} to list every clip, it lacks {'/'.join(unlisted[0])}")
    return np.array([listed[clip.parent.name, clip.name] for clip in clips], dtype=np.int64)


def _listed(clips: Sequence[Path], split: int) -> dict[tuple[str, str], int]:
    folder = _folder(clips[0].parent.parent)
    labels = sorted({clip.parent.name for clip in clips})
    return {
        (label, name): part
        for label in labels
        for name, part in _lines(folder / f"{label}_test_split{split}.txt").items()
    }


def _folder(root: Path) -> Path:
    for place in (root / SPLITS, root.parent / SPLITS):
        if place.is_dir():
            return place
    raise DatasetError(f"expected HMDB51's split files in {root / SPLITS} or in {root.parent / SPLITS}, got neither")


def _lines(file: Path) -> dict[str, int]:
    try:
        lines = file.read_text().splitlines()
    except OSError as error:
        raise DatasetError(f"{file}: {error.strerror}") from error
    parts = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, _, part = line.strip().rpartition(" ")
        if part not in ("0", "1", "2") or not name:
            raise DatasetError(f"{file}, line {number}: expected a clip's name and 0, 1 or 2, got {line!r}")
        parts[name.strip()] = int(part)
    return parts
