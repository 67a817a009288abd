import shutil
from pathlib import Path

import pytest

from reid.datasets.crop import labels_of
from reid.datasets.market1501 import Market1501, read_market1501
from reid.errors import DatasetError


@pytest.fixture
def copy(generated_market: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "Market-1501-copy"
    shutil.copytree(generated_market, folder)
    return folder


@pytest.mark.market1501
def test_all_of_market1501_has_its_published_sizes(market1501: Market1501) -> None:
    assert (len(market1501.train), len(market1501.query), len(market1501.gallery)) == (12_936, 3_368, 19_732)
    assert len({crop.pid for crop in market1501.train}) == 751
    assert len({crop.pid for crop in market1501.query}) == 750
    pids = labels_of(market1501.gallery).pids
    assert ((pids == 0).sum(), (pids == -1).sum()) == (2_798, 3_819)
    assert {crop.camid for crop in market1501.gallery} == {1, 2, 3, 4, 5, 6}


def test_a_name_says_who_where_and_when(copy: Path) -> None:
    query = copy / "query"
    shutil.copy(next(query.iterdir()), query / "0042_c3s2_001234_07.jpg.jpg")
    crop = next(crop for crop in read_market1501(copy).query if crop.pid == 42)
    assert (crop.camid, crop.sequence, crop.frame) == (3, 2, 1234)


def test_the_folder_above_will_do(copy: Path) -> None:
    assert read_market1501(copy.parent) == read_market1501(copy)


@pytest.mark.parametrize(
    "name", ["cat.jpg", "0002_c1_000451_03.jpg", "002_c1s1_000451_03.jpg", "-2_c1s1_000451_03.jpg"]
)
def test_a_name_of_another_form_is_refused(copy: Path, name: str) -> None:
    shutil.copy(next((copy / "query").iterdir()), copy / "query" / name)
    with pytest.raises(DatasetError, match=f"{name}: expected a name like 0002_c1s1_000451_03"):
        read_market1501(copy)


def test_junk_is_not_trained_on(copy: Path) -> None:
    shutil.copy(next((copy / "query").iterdir()), copy / "bounding_box_train" / "-1_c1s1_000001_00.jpg")
    with pytest.raises(DatasetError, match="expected real people in bounding_box_train, got -1_c1s1_000001_00"):
        read_market1501(copy)


def test_a_person_in_both_parts_is_refused(copy: Path) -> None:
    query = next((copy / "query").iterdir())
    shutil.copy(query, copy / "bounding_box_train" / query.name)
    with pytest.raises(DatasetError, match=r"1 people .* are in both train and query"):
        read_market1501(copy)


def test_a_folder_that_is_not_the_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="expected a folder with bounding_box_train, query, bounding_box_test"):
        read_market1501(tmp_path)
    with pytest.raises(DatasetError, match="which is not a folder"):
        read_market1501(tmp_path / "missing")


def test_an_empty_part_is_named(copy: Path) -> None:
    for path in (copy / "query").iterdir():
        path.unlink()
    with pytest.raises(DatasetError, match=r"query: expected .jpg crops, got none"):
        read_market1501(copy)
