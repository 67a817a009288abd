import numpy as np
import pytest

from reid.evaluation.hygiene import examine
from tests.evaluation.people import crowd, labels, unit_rows


def test_a_crop_under_the_wrong_name_is_found() -> None:
    rows, people = crowd(11, 100, people=5, noise=0.3)
    rows[[0, 1]] = rows[[1, 0]]  # two people's crops changed places
    found = examine(rows, people)
    assert {outlier.row for outlier in found.outliers} == {0, 1}
    assert found.num_outliers == 2
    worst = found.outliers[0]
    assert worst.other_pid == {0: 2, 1: 1}[worst.row]
    assert worst.own_score < worst.other_score


def test_a_persons_only_crop_is_no_outlier() -> None:
    rows = np.array([[1, 0], [0.96, 0.28], [0.8, 0.6]], dtype=np.float32)
    assert examine(rows, labels([1, 1, 2], [1, 2, 1])).num_outliers == 0


def test_people_who_look_alike_are_named_once_and_in_order() -> None:
    rows = np.array([[1, 0, 0], [0.9, np.sqrt(0.19), 0], [0, 0, 1]], dtype=np.float32)
    alike = examine(rows, labels([7, 3, 9], [1, 1, 1]), limit=2).look_alikes
    assert [(pair.pid, pair.other_pid) for pair in alike] == [(3, 7), (3, 9)]
    assert alike[0].score == pytest.approx(0.9)


def test_the_same_picture_under_two_names_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reid.evaluation.scores._BLOCK_BYTES", 200)
    rows = unit_rows(np.random.default_rng(0), 12, 64)
    rows[5], rows[9] = rows[2], rows[3]
    pids = [1, 1, 1, 2, 2, 2, 3, 3, 3, 2, 0, -1]
    found = examine(rows, labels(pids, [1] * 12))
    assert [(pair.row, pair.other_row, pair.same_person) for pair in found.near_duplicates] == [
        (2, 5, False),
        (3, 9, True),
    ]
    assert (found.num_near_duplicates, found.num_near_duplicates_across_people) == (2, 1)


def test_a_bundle_that_tells_nobody_apart_is_counted_and_not_listed() -> None:
    rows = np.repeat(np.eye(1, 4, dtype=np.float32), 300, axis=0)
    found = examine(rows, labels([1, 2] * 150, [1] * 300), limit=5)
    assert (found.num_near_duplicates, found.num_near_duplicates_across_people) == (300 * 299 // 2, 150 * 150)
    assert len(found.near_duplicates) == 5


def test_distractors_and_junk_are_passed_over() -> None:
    rows = unit_rows(np.random.default_rng(0), 6, 8)
    rows[4:] = rows[0]
    assert examine(rows, labels([1, 1, 2, 2, 0, -1], [1] * 6)).num_near_duplicates == 0


def test_one_person_has_nobody_to_be_mixed_up_with() -> None:
    with pytest.raises(ValueError, match="crops of at least 2 people, got 1"):
        examine(np.eye(2, dtype=np.float32), labels([1, 1], [1, 2]))
