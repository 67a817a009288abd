from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from reid.datasets.generated import GeneratedCrop, generate_crops, write_market_folder
from reid.datasets.market1501 import read_market1501
from reid.images import decode_image


def pixels(crop: GeneratedCrop) -> np.ndarray:
    return np.asarray(crop.image)


def test_every_person_stands_on_every_camera() -> None:
    crops = generate_crops(3, cameras=4, per_camera=2)
    assert [(crop.pid, crop.camid, crop.index) for crop in crops] == [
        (pid, camid, index) for pid in (1, 2, 3) for camid in (1, 2, 3, 4) for index in (0, 1)
    ]
    assert {(crop.image.mode, crop.image.size) for crop in crops} == {("RGB", (64, 128))}
    assert len({pixels(crop).tobytes() for crop in crops}) == len(crops)


def test_a_seed_decides_every_pixel() -> None:
    first, again, other = (generate_crops(2, seed=seed) for seed in (7, 7, 8))
    assert all(np.array_equal(pixels(a), pixels(b)) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(pixels(a), pixels(b)) for a, b in zip(first, other, strict=True))


def test_a_crop_does_not_depend_on_how_many_are_drawn() -> None:
    few = generate_crops(2, cameras=1, per_camera=1)
    many = {(c.pid, c.camid, c.index): c for c in generate_crops(4, cameras=3, per_camera=2)}
    assert all(np.array_equal(pixels(c), pixels(many[c.pid, c.camid, c.index])) for c in few)


def test_clothes_find_the_person_on_the_other_camera() -> None:
    """What a figure wears, its camera's tint divided out, is enough to match far better than by chance."""
    crops = generate_crops(20, cameras=2, per_camera=1)
    looks = np.stack([pixels(crop)[30:110, 22:42].reshape(8, 10, 20, 3).mean(axis=(1, 2)) for crop in crops])
    camids = np.array([crop.camid for crop in crops])
    query, gallery = (looks[camids == camid] / looks[camids == camid].mean(axis=0) for camid in (1, 2))
    distance = np.abs(query[:, None] - gallery[None]).sum(axis=(2, 3))
    hits = distance.argmin(axis=1) == np.arange(20)
    assert hits.mean() >= 0.5


def test_other_sizes_are_drawn_to_scale() -> None:
    large = generate_crops(1, size_hw=(256, 128))[0]
    assert large.image.size == (128, 256)


@pytest.mark.parametrize(
    ("num_people", "cameras", "per_camera", "size_hw"),
    [(0, 1, 1, (128, 64)), (1, 0, 1, (128, 64)), (1, 10, 1, (128, 64)), (1, 1, 0, (128, 64)), (1, 1, 1, (8, 8))],
)
def test_impossible_requests_are_refused(
    num_people: int, cameras: int, per_camera: int, size_hw: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match="expected"):
        generate_crops(num_people, cameras, per_camera, size_hw=size_hw)


def test_the_market_folder_reads_as_market1501(tmp_path: Path) -> None:
    write_market_folder(tmp_path, train_people=3, test_people=4, cameras=2, per_camera=3)
    data = read_market1501(tmp_path)
    assert Counter(crop.pid for crop in data.train) == {1: 6, 2: 6, 3: 6}
    assert Counter((crop.pid, crop.camid) for crop in data.query) == {
        (pid, camid): 1 for pid in (4, 5, 6, 7) for camid in (1, 2)
    }
    assert Counter(crop.pid for crop in data.gallery) == {4: 4, 5: 4, 6: 4, 7: 4, 0: 2, -1: 2}
    assert all(
        decode_image(crop.path.read_bytes()).size == (64, 128)
        for part in (data.train, data.query, data.gallery)
        for crop in part
    )


def test_the_market_folder_is_the_same_for_a_seed(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_market_folder(tmp_path / name, train_people=1, test_people=1, per_camera=2, seed=5)
    first, second = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in sorted((tmp_path / name).rglob("*.jpg"))}
        for name in ("first", "second")
    )
    assert first == second


def test_a_market_folder_is_never_mixed_into_another(tmp_path: Path) -> None:
    write_market_folder(tmp_path, train_people=1, test_people=1)
    with pytest.raises(FileExistsError):
        write_market_folder(tmp_path, train_people=1, test_people=1)


def test_a_market_folder_needs_a_query_and_a_gallery(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 crops per camera, got 8, 8, 1"):
        write_market_folder(tmp_path, per_camera=1)
    assert list(tmp_path.iterdir()) == []
