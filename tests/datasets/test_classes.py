from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reid.datasets.classes import read_classes
from reid.errors import DatasetError


def write(path: Path, size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size).save(path)


def test_a_folder_per_label(tmp_path: Path) -> None:
    for name in ("b/2.png", "a/1.jpg", "b/1.webp"):
        write(tmp_path / name)
    (tmp_path / "LICENSE").touch()
    (tmp_path / ".hidden").mkdir()
    images = read_classes(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in images.paths] == ["a/1.jpg", "b/1.webp", "b/2.png"]
    assert images.label_names == ("a", "b")
    assert images.labels.tolist() == [0, 1, 1]
    assert images.groups is None
    assert images.chosen(np.array([2])).paths == (tmp_path / "b" / "2.png",)


def test_the_faces_are_labelled_by_eyes_and_grouped_by_person(tmp_path: Path) -> None:
    for person in ("at33", "boland"):
        for eyes in ("open", "sunglasses"):
            write(tmp_path / person / f"{person}_left_angry_{eyes}_4.pgm")
    images = read_classes(tmp_path)
    assert images.label_names == ("open", "sunglasses")
    assert images.labels.tolist() == [0, 1, 0, 1]
    assert images.groups is not None
    assert images.groups.tolist() == [0, 0, 1, 1]
    write(tmp_path / "boland" / "at33_left_angry_open_4.pgm")
    with pytest.raises(DatasetError, match=r"expected a name like boland_left_angry_open_4\.pgm"):
        read_classes(tmp_path)


def test_a_table_with_groups(tmp_path: Path) -> None:
    table = tmp_path / "images.csv"
    table.write_text("path,label,group\nx/1.png,yes,anna\nx/2.png,no,bert\n")
    images = read_classes(table)
    assert images.paths[0] == tmp_path / "x" / "1.png"
    assert [images.label_names[label] for label in images.labels] == ["yes", "no"]
    assert images.groups is not None
    table.write_text("path,label,group\nx/1.png,yes,anna\nx/2.png,no,\n")
    with pytest.raises(DatasetError, match=r"expected a group for every image or for none, got none for .*2\.png"):
        read_classes(table)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a/1.png": None}, r"expected images of at least 2 labels, got 1 images of \['a'\]"),
        ({"a/1.png": None, "b": "folder"}, "b: expected images of the label 'b', got an empty folder"),
        ({"a/1.png": None, "b/notes.txt": "text"}, r"notes.txt: expected an image"),
        ({}, r"got 0 images of \[\]"),
        ({"t.csv": "path,person\n"}, r"expected the columns path and label, got none of \['label'\]"),
        ({"t.csv": "path,label\n1.png,\n"}, "line 2: expected a path and a label"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, files: dict[str, str | None], message: str) -> None:
    for name, content in files.items():
        if content is None:
            write(tmp_path / name)
        elif content == "folder":
            (tmp_path / name).mkdir()
        else:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(content)
    table = tmp_path / "t.csv"
    with pytest.raises(DatasetError, match=message):
        read_classes(table if table.exists() else tmp_path)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"expected a folder per label or a \.csv table"):
        read_classes(tmp_path / "missing")
