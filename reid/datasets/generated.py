"""Generated people: for machines without research data, for tests, and for the trainer's quickest recipe."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from reid.datasets.figures import draw_figure, random_look
from reid.datasets.scenes import Scene
from reid.images import encode_crop

_FRAMES_BETWEEN_CROPS = 25
_MAX_CAMERAS = 9  # Market-1501's names have one digit for it

# The first number of every generator's seed says what is drawn, so that no two draw alike.
_PERSON, _CAMERA, _CROP = 1, 2, 3


@dataclass(frozen=True)
class GeneratedCrop:
    """One drawn sighting: an RGB image, its person and camera (from 1), and its number there (from 0)."""

    image: Image.Image
    pid: int
    camid: int
    index: int


def generate_crops(
    num_people: int,
    cameras: int = 2,
    per_camera: int = 2,
    *,
    seed: int = 0,
    size_hw: tuple[int, int] = (128, 64),
) -> list[GeneratedCrop]:
    """Draw every person on every camera, ordered by person, camera, index.

    A crop looks the same for a seed however many are drawn beside it. Raises ValueError for counts below 1,
    more than 9 cameras, or a size below 16 × 8.
    """
    if min(num_people, per_camera) < 1:
        raise ValueError(f"expected people and crops of each, got {num_people} and {per_camera}")
    scenes = _scenes(cameras, seed, size_hw)
    return list(_draw(range(1, num_people + 1), scenes, per_camera, seed))


def write_market_folder(
    root: Path,
    *,
    train_people: int = 8,
    test_people: int = 8,
    cameras: int = 2,
    per_camera: int = 3,
    seed: int = 0,
    size_hw: tuple[int, int] = (128, 64),
) -> None:
    """Write generated people into `root` in Market-1501's layout, for its reader, the trainer and evaluation.

    People 1…train_people are for training, those after them for testing. Of each test person, the first crop
    on each camera is a query and the others are gallery, beside a distractor (`0000`) and a junk crop (`-1`,
    half a person) on each camera. Raises ValueError for counts too small, FileExistsError where a folder exists.
    """
    if min(train_people, test_people) < 1 or per_camera < 2:
        raise ValueError(
            "expected at least 1 person to train on, 1 to test on and 2 crops per camera,"
            f" got {train_people}, {test_people}, {per_camera}"
        )
    scenes = _scenes(cameras, seed, size_hw)
    train, query, gallery = (root / name for name in ("bounding_box_train", "query", "bounding_box_test"))
    for folder in (train, query, gallery):
        folder.mkdir(parents=True)
    last = train_people + test_people
    for crop in _draw(range(1, last + 1), scenes, per_camera, seed):
        folder = train if crop.pid <= train_people else query if crop.index == 0 else gallery
        _write_crop(folder, f"{crop.pid:04d}", crop)
    for crop in _draw([last + 1], scenes, 1, seed):
        _write_crop(gallery, "0000", crop)
    for crop in _draw([last + 2], scenes, 1, seed):
        _write_crop(gallery, "-1", crop, box_xyxy=(0, size_hw[0] // 2, size_hw[1], size_hw[0]))


def _write_crop(
    folder: Path, person: str, crop: GeneratedCrop, box_xyxy: tuple[int, int, int, int] | None = None
) -> None:
    frame = (2 * crop.pid + crop.index) * _FRAMES_BETWEEN_CROPS
    image = crop.image.resize(crop.image.size, box=box_xyxy)
    path = folder / f"{person}_c{crop.camid}s1_{frame:06d}_01.jpg"
    path.write_bytes(encode_crop(image))


def _scenes(cameras: int, seed: int, size_hw: tuple[int, int]) -> list[Scene]:
    if not 1 <= cameras <= _MAX_CAMERAS:
        raise ValueError(f"expected 1 to {_MAX_CAMERAS} cameras, got {cameras}")
    if size_hw[0] < 16 or size_hw[1] < 8:
        raise ValueError(f"expected size_hw of at least (16, 8), got {size_hw}")
    return [Scene(np.random.default_rng((_CAMERA, seed, camid)), size_hw) for camid in range(1, cameras + 1)]


def _draw(pids: Iterable[int], scenes: list[Scene], per_camera: int, seed: int) -> Iterator[GeneratedCrop]:
    for pid in pids:
        look = random_look(np.random.default_rng((_PERSON, seed, pid)))
        for camid, scene in enumerate(scenes, start=1):
            for index in range(per_camera):
                rng = np.random.default_rng((_CROP, seed, pid, camid, index))
                picture = draw_figure(look, scene.pose(rng), scene.background(rng))
                yield GeneratedCrop(scene.develop(picture, rng), pid, camid, index)
