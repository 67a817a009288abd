"""HMDB51's official splits, with files of their form."""

from pathlib import Path

import numpy as np
import pytest

from reid.datasets.hmdb51 import SPLITS, official_parts
from reid.errors import DatasetError

CLIPS = {"wave": ("a_wave_u_cm_np1_ba_med_0.avi", "b.avi", "c.avi"), "clap": ("d.avi", "e.avi")}
LISTS = {
    "wave": "a_wave_u_cm_np1_ba_med_0.avi 1 \nb.avi 2 \nc.avi 0 \n",
    "clap": "d.avi 2 \ne.avi 1 \n",
}


def paths(root: Path) -> list[Path]:
    return [root / label / name for label in sorted(CLIPS) for name in CLIPS[label]]


def write_lists(folder: Path, lists: dict[str, str], split: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for label, text in lists.items():
        (folder / f"{label}_test_split{split}.txt").write_text(text)


@pytest.mark.parametrize("place", [f"clips/{SPLITS}", SPLITS])
def test_each_split_has_its_own_parts(tmp_path: Path, place: str) -> None:
    write_lists(tmp_path / place, LISTS)
    third = {"wave": "a_wave_u_cm_np1_ba_med_0.avi 2 \nb.avi 1 \nc.avi 2 \n", "clap": "d.avi 1\ne.avi 2"}
    write_lists(tmp_path / place, third, split=3)
    assert official_parts(paths(tmp_path / "clips"), 1).tolist() == [2, 1, 1, 2, 0]
    assert official_parts(paths(tmp_path / "clips"), 3).tolist() == [1, 2, 2, 1, 2]
    with pytest.raises(DatasetError, match=r"clap_test_split2.txt: No such file"):
        official_parts(paths(tmp_path / "clips"), 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wave": LISTS["wave"] + "f.avi 2\n"}, "1 are missing: first wave/f.avi"),
        ({"wave": "b.avi 2\nc.avi 0\n"}, "list every clip, it lacks wave/a_wave"),
        ({"wave": "b.avi two\n"}, r"line 1: expected a clip's name and 0, 1 or 2, got 'b.avi two'"),
        ({"wave": "\n1\n"}, r"line 2: expected a clip's name"),
    ],
)
def test_lists_that_do_not_fit_are_refused(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    write_lists(tmp_path / SPLITS, LISTS | changes)
    with pytest.raises(DatasetError, match=message):
        official_parts(paths(tmp_path / "clips"), 1)


def test_a_clip_that_is_in_neither_part_may_be_missing(tmp_path: Path) -> None:
    write_lists(tmp_path / SPLITS, LISTS | {"wave": LISTS["wave"] + "f.avi 0\n"})
    assert np.bincount(official_parts(paths(tmp_path / "clips"), 1)).tolist() == [1, 2, 2]


def test_without_lists_it_is_said_where_they_belong(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=f"expected HMDB51's split files in .*clips/{SPLITS} or in .*/{SPLITS}"):
        official_parts(paths(tmp_path / "clips"), 1)
