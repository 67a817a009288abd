"""Market-1501 (Zheng et al. 2015): three folders of crops whose names say who, where and when.

`0002_c1s1_000451_03.jpg` is person 2 on camera 1, sequence 1, frame 451, detection 3. Person `-1` is junk (a bad
detection that the protocol ignores), person `0000` a distractor (nobody of the queries).
"""

import re
from dataclasses import dataclass
from pathlib import Path

from reid.datasets.crop import Crop
from reid.errors import DatasetError

FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
FRAMES_PER_SECOND = 25
_NAME = re.compile(r"(?P<pid>-1|\d{4})_c(?P<camid>\d)s(?P<sequence>\d)_(?P<frame>\d{6})_(?P<detection>\d{2})(\.jpg)+")


@dataclass(frozen=True)
class MarketCrop(Crop):
    """A crop and what else its name says: where in the camera's recordings it was seen."""

    sequence: int
    frame: int


@dataclass(frozen=True)
class Market1501:
    """The three parts, each sorted by path."""

    train: tuple[MarketCrop, ...]
    query: tuple[MarketCrop, ...]
    gallery: tuple[MarketCrop, ...]


def read_market1501(root: Path) -> Market1501:
    """Read a folder in Market-1501's layout; images are not opened.

    `root` is that folder or the one that holds it. Raises :class:`DatasetError` that names the missing folder, the
    unreadable name, or the rule that is broken (people of the test parts in the training part, junk to train on).
    """
    parts = {part: _read_part(dataset_root(root) / folder) for part, folder in FOLDERS.items()}
    for part in ("train", "query"):
        if odd := [crop.path.name for crop in parts[part] if crop.pid < 1]:
            raise DatasetError(f"{root}: expected real people in {FOLDERS[part]}, got {odd[0]}")
    train_pids = {crop.pid for crop in parts["train"]}
    if shared := train_pids & {crop.pid for crop in parts["query"]}:
        raise DatasetError(f"{root}: {len(shared)} people (such as {min(shared)}) are in both train and query")
    return Market1501(**parts)


def dataset_root(root: Path) -> Path:
    """The folder that holds `bounding_box_train`: `root` itself or one directly below it."""
    candidates = [root, *sorted(root.glob("Market-1501*"))]
    for candidate in candidates:
        if all((candidate / folder).is_dir() for folder in FOLDERS.values()):
            return candidate
    raise DatasetError(
        f"expected a folder with {', '.join(FOLDERS.values())} (Market-1501's layout), got {root}"
        + ("" if root.is_dir() else ", which is not a folder")
    )


def _read_part(folder: Path) -> tuple[MarketCrop, ...]:
    crops = tuple(_read_name(path) for path in sorted(folder.glob("*.jpg")))
    if not crops:
        raise DatasetError(f"{folder}: expected .jpg crops, got none")
    return crops


def _read_name(path: Path) -> MarketCrop:
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise DatasetError(f"{path}: expected a name like 0002_c1s1_000451_03.jpg")
    return MarketCrop(path, int(match["pid"]), int(match["camid"]), int(match["sequence"]), int(match["frame"]))
