import shutil
from pathlib import Path

import numpy as np
import pytest

from reid.datasets.crop import labels_of
from reid.datasets.market1501 import read_market1501
from reid.datasets.split import read_split, require_several_cameras
from reid.errors import DatasetError
from reid.evaluation.labels import Exclude
from tests.datasets.operator_data import write_people, write_table


def test_market1501_keeps_its_own_parts(generated_market: Path) -> None:
    split, market = read_split(generated_market), read_market1501(generated_market)
    assert [split.paths[row] for row in split.query] == [crop.path for crop in market.query]
    assert [split.paths[row] for row in split.gallery] == [crop.path for crop in market.gallery]
    assert np.array_equal(split.labels[split.gallery].pids, labels_of(market.gallery).pids)
    assert not split.asks_itself
    assert split.domain == f"{generated_market.name}, query against gallery"
    assert split.name_of(0) == f"query/{market.query[0].path.name}"
    counts = split.counts()
    assert (counts["num_people"], counts["num_cameras"], counts["num_duplicate_files"]) == (6, 2, 0)
    assert counts["num_junk"] == int((split.labels.pids == -1).sum()) > 0
    assert counts["num_distractors"] == int((split.labels.pids == 0).sum()) > 0


def test_elsewhere_every_crop_of_a_person_asks(tmp_path: Path) -> None:
    write_people(tmp_path / "shop", "{person}/{camera}_{index}.jpg")
    (tmp_path / "shop" / "p4").rename(tmp_path / "shop" / "0")
    split = read_split(tmp_path / "shop")
    assert split.asks_itself
    assert (len(split.query), len(split.gallery)) == (12, 16)
    assert split.domain == "shop, every crop against the others"


def test_people_who_cannot_be_searched_for_are_counted(tmp_path: Path) -> None:
    write_people(tmp_path, "{person}/{camera}_{index}.jpg")
    for path in [*(tmp_path / "p1").glob("cam2*"), *sorted((tmp_path / "p2").iterdir())[1:]]:
        path.unlink()
    counts = read_split(tmp_path).counts()
    assert counts["num_people"] == 4
    assert counts["num_people_with_one_crop"] == 1
    assert counts["num_people_on_one_camera"] == 2  # p2's only crop is on one camera as well


def test_the_first_people_are_searched_for_among_themselves(generated_market: Path) -> None:
    whole = read_split(generated_market)
    part = whole.of_first_people(2)
    asked, searched = part.labels.pids[part.query], part.labels.pids[part.gallery]
    first = sorted(set(whole.labels.pids[whole.query].tolist()))[:2]
    assert sorted(set(asked.tolist())) == sorted(set(searched.tolist())) == first
    assert len(part.query) == np.isin(whole.labels.pids[whole.query], asked).sum()
    for rows, all_rows in ((part.query, whole.query), (part.gallery, whole.gallery)):
        theirs = [whole.paths[row] for row in all_rows if whole.labels.pids[row] in first]
        assert [part.paths[row] for row in rows] == theirs
    assert len(part.paths) == len(part.labels) == len({*part.query.tolist(), *part.gallery.tolist()})
    assert part.domain == f"{whole.domain}, first 2 people alone"
    assert whole.of_first_people(0) is whole
    with pytest.raises(DatasetError, match="expected at least 7 people who ask, got 6"):
        whole.of_first_people(7)


def test_a_table_is_known_by_its_suffix(tmp_path: Path) -> None:
    paths = write_people(tmp_path, "{person}-{camera}-{index}.jpg", people=2)
    rows = [{"path": path.name, "person": path.name[:2], "camera": path.name[3:7]} for path in paths]
    assert read_split(write_table(tmp_path / "lobby.CSV", rows)).domain == "lobby, every crop against the others"


def test_junk_alone_asks_nothing(tmp_path: Path) -> None:
    write_people(tmp_path, "{person}/{camera}_{index}.jpg", people=1)
    (tmp_path / "p1").rename(tmp_path / "-1")
    with pytest.raises(DatasetError, match="expected crops of people, got only junk and distractors"):
        read_split(tmp_path)


def test_one_camera_needs_the_other_rule(tmp_path: Path) -> None:
    write_people(tmp_path, "{person}/{camera}_{index}.jpg", cameras=1)
    split = read_split(tmp_path)
    with pytest.raises(DatasetError, match=r"at least 2 cameras, got only 'cam1'; the rule 'same-tracklet'"):
        require_several_cameras(split, Exclude.SAME_CAMERA)
    require_several_cameras(split, Exclude.SAME_TRACKLET)


def test_half_of_market1501_is_not_taken_for_a_folder_per_person(generated_market: Path, tmp_path: Path) -> None:
    shutil.copytree(generated_market, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "query")
    with pytest.raises(DatasetError, match="expected a folder with bounding_box_train, query, bounding_box_test"):
        read_split(tmp_path / "copy")
