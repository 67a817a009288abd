import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid.datasets.classes import LabelledFiles
from reid.errors import DatasetError
from trainer.folds import parts_of
from trainer.recipes.classifiers import HAND_SIGNS_PAPER, SUNGLASSES_PAPER


def images(labels: list[int], groups: list[int] | None = None) -> LabelledFiles:
    names = tuple("abcdefgh"[: max(labels) + 1])
    paths = tuple(Path(names[label]) / f"{row}.png" for row, label in enumerate(labels))
    return LabelledFiles(paths, np.array(labels), names, None if groups is None else np.array(groups))


@given(st.integers(0, 4), st.integers(0, 3), st.integers(0, 5))
def test_every_image_is_in_one_part_and_no_group_in_two(fold: int, validation_folds: int, seed: int) -> None:
    recipe = dataclasses.replace(SUNGLASSES_PAPER, fold=fold, validation_folds=validation_folds, split_seed=seed)
    generator = np.random.default_rng(seed)
    groups = generator.integers(0, 12, 120)
    groups[:12] = np.arange(12)
    data = images([0, 1] * 60, groups.tolist())
    parts = parts_of(data, recipe)
    every = [parts.train, parts.validation, parts.test]
    assert np.sort(np.concatenate(every)).tolist() == list(range(120))
    owners = [set(groups[rows].tolist()) for rows in every]
    assert not owners[0] & owners[1]
    assert not owners[0] & owners[2]
    assert not owners[1] & owners[2]
    assert (len(parts.validation) > 0) == (validation_folds > 0)


def test_the_hand_sign_parts_are_85_10_and_5_percent_of_every_label() -> None:
    parts = parts_of(images([0, 1] * 200), HAND_SIGNS_PAPER)
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [340, 40, 20]
    assert [row % 2 for row in parts.test].count(0) == 10


def test_the_folds_tests_are_everything_once() -> None:
    data = images([0, 1] * 50)
    tests = [parts_of(data, dataclasses.replace(SUNGLASSES_PAPER, fold=fold)).test for fold in range(5)]
    assert np.sort(np.concatenate(tests)).tolist() == list(range(100))


@pytest.mark.parametrize("fold", [1, 2])
def test_an_empty_fold_is_refused_before_anything_is_trained(fold: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups that differ much in size may leave one; the second is watched or tested on, as the recipe has it."""
    rows = [np.arange(0, 40), np.arange(40, 80), np.array([], dtype=np.int64), np.arange(80, 100)]
    monkeypatch.setattr("trainer.folds._folds", lambda *_: rows)
    recipe = dataclasses.replace(SUNGLASSES_PAPER, folds=4, fold=fold, validation_folds=1)
    with pytest.raises(DatasetError, match="expected every fold to hold files, got an empty one of 4"):
        parts_of(images([0, 1] * 50), recipe)


def test_the_digest_tells_splits_apart() -> None:
    data = images([0, 1] * 50)
    digests = [
        parts_of(data, dataclasses.replace(SUNGLASSES_PAPER, **changes)).sha256
        for changes in ({}, {"epochs": 3}, {"fold": 1}, {"split_seed": 1})
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


@pytest.mark.parametrize(
    ("labels", "groups", "message"),
    [
        ([0] * 9 + [1], None, "expected at least 2 images of every label, got 1 of 'b'"),
        ([0] * 9 + [1] * 3, None, "expected at least 5 images of every label for 5 folds, got 3 of 'b'"),
        ([0, 1] * 6, [0, 0, 1] * 4, "expected at least 5 groups for 5 folds, got 2"),
    ],
)
def test_labels_and_groups_too_rare_to_split_are_named(
    labels: list[int], groups: list[int] | None, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        parts_of(images(labels, groups), SUNGLASSES_PAPER)


@pytest.mark.filterwarnings("ignore:The least populated class")  # scikit-learn says so too
def test_a_label_of_one_group_cannot_be_tested_and_learnt() -> None:
    data = images([0] * 10 + [1] * 2, [0, 1, 2, 3, 4, 5, 0, 1, 2, 4, 3, 3])
    held = [fold for fold in range(5) if _holds_person_3(data, fold)]
    assert len(held) == 1
    with pytest.raises(DatasetError, match=r"expected images of every label to train on, got none of \['b'\]"):
        parts_of(data, dataclasses.replace(SUNGLASSES_PAPER, fold=held[0]))


def _holds_person_3(data: LabelledFiles, fold: int) -> bool:
    try:
        parts_of(data, dataclasses.replace(SUNGLASSES_PAPER, fold=fold))
    except DatasetError:
        return True
    return False
