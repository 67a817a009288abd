import shutil
from pathlib import Path

import pytest

from reid.datasets.folders import read_folders
from reid.errors import DatasetError
from tests.datasets.operator_data import write_people


@pytest.mark.parametrize("layout", ["{person}/{camera}_{index}.jpg", "{person}/{camera}/{index}.jpg"])
def test_a_camera_may_be_a_folder_or_begin_a_name(tmp_path: Path, layout: str) -> None:
    paths = write_people(tmp_path, layout)
    crops = read_folders(tmp_path)
    assert crops.paths == tuple(sorted(paths))
    assert crops.camera_names == {1: "cam1", 2: "cam2"}
    assert {pid: name for pid, name in crops.person_names.items() if pid > 0} == {1: "p1", 2: "p2", 3: "p3", 4: "p4"}
    named = [
        (crops.person_names[pid], crops.camera_names[camid])
        for pid, camid in zip(crops.labels.pids.tolist(), crops.labels.camids.tolist(), strict=True)
    ]
    assert all(
        f"{person}/{camera}" in path.as_posix() for (person, camera), path in zip(named, crops.paths, strict=True)
    )
    assert crops.labels.tracklets is None


def test_a_third_folder_is_a_tracklet(tmp_path: Path) -> None:
    write_people(tmp_path, "{person}/{camera}/run{index}/x.jpg", people=2)
    tracklets = read_folders(tmp_path).labels.tracklets
    assert tracklets is not None
    assert len(set(tracklets.tolist())) == 8


def test_junk_and_distractors_keep_market1501s_numbers(tmp_path: Path) -> None:
    write_people(tmp_path, "{person}/{camera}_{index}.jpg", people=3)
    (tmp_path / "p1").rename(tmp_path / "-1")
    (tmp_path / "p2").rename(tmp_path / "0000")
    assert set(read_folders(tmp_path).labels.pids.tolist()) == {-1, 0, 1}


def test_copies_are_counted_and_left_out(tmp_path: Path) -> None:
    first, *_ = write_people(tmp_path, "{person}/{camera}_{index}.jpg")
    shutil.copy(first, first.with_name("cam1_again.jpg"))
    crops = read_folders(tmp_path)
    assert (len(crops.paths), crops.num_duplicate_files) == (16, 1)


@pytest.mark.parametrize("copy", ["p2/cam1_x.jpg", "p1/cam2_x.jpg"])
def test_the_same_bytes_under_two_labels_are_refused(tmp_path: Path, copy: str) -> None:
    first, *_ = write_people(tmp_path, "{person}/{camera}_{index}.jpg")
    shutil.copy(first, tmp_path / copy)
    with pytest.raises(DatasetError, match="expected one label for the same bytes, got person 'p"):
        read_folders(tmp_path)


def test_hidden_files_are_passed_over(tmp_path: Path) -> None:
    write_people(tmp_path, "{person}/{camera}_{index}.jpg")
    (tmp_path / "p1" / ".DS_Store").write_bytes(b"x")
    (tmp_path / ".cache").mkdir()
    assert len(read_folders(tmp_path).paths) == 16


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("p1/notes.txt", "notes.txt: expected an image"),
        ("p1/crop.jpg", "expected PERSON/CAMERA_name"),
        ("crop.jpg", "expected PERSON/CAMERA_name"),
        ("p1/_1.jpg", "expected the camera before the first `_`, got ''"),
        ("0002/0002_c1s1_000451_03.jpg", "expected the camera before the first `_`, got '0002'"),
        ("p1/a/b/c/d.jpg", "expected PERSON/CAMERA_name"),
    ],
)
def test_a_file_that_does_not_fit_is_named(tmp_path: Path, name: str, message: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    with pytest.raises(DatasetError, match=message):
        read_folders(tmp_path)


def test_an_empty_person_is_named(tmp_path: Path) -> None:
    write_people(tmp_path, "{person}/{camera}_{index}.jpg")
    (tmp_path / "p9").mkdir()
    with pytest.raises(DatasetError, match="p9: expected crops of a person, got an empty folder"):
        read_folders(tmp_path)


def test_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="expected labelled crops, got none"):
        read_folders(tmp_path)
    with pytest.raises(DatasetError, match="which is not a folder"):
        read_folders(tmp_path / "missing")


def test_some_tracklets_are_not_enough(tmp_path: Path) -> None:
    write_people(tmp_path, "{person}/{camera}/run{index}/x.jpg", people=2)
    write_people(tmp_path, "q{person}/{camera}/{index}_other.png", people=1, cameras=1, per_camera=1)
    first = next((tmp_path / "qp1").rglob("*.png"))
    first.write_bytes(first.read_bytes() + b" ")  # not a copy of p1's
    with pytest.raises(DatasetError, match="tracklets of all crops or of none, got 8 of 9"):
        read_folders(tmp_path)
