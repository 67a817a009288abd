import numpy as np
import pytest

from reid.evaluation.cameras import evaluate_camera_pairs
from reid.evaluation.retrieval import evaluate_retrieval
from tests.evaluation.people import crowd, labels


def test_each_pair_is_an_evaluation_of_its_own() -> None:
    rows, people = crowd(1, 180, people=12, cameras=3)
    results = evaluate_camera_pairs(rows[:36], rows[36:], people[:36], people[36:])
    assert set(results) == {(a, b) for a in (1, 2, 3) for b in (1, 2, 3) if a != b}
    asking, theirs = people.camids[:36] == 2, people.camids[36:] == 3
    alone = evaluate_retrieval(rows[:36][asking], rows[36:][theirs], people[:36][asking], people[36:][theirs])
    assert results[2, 3].mean_ap == alone.mean_ap
    assert results[2, 3].num_gallery == int(theirs.sum())


def test_a_pair_that_shares_nobody_is_absent() -> None:
    rows = np.eye(3, dtype=np.float32)
    results = evaluate_camera_pairs(rows[:2], rows, labels([1, 2], [1, 1]), labels([1, 2, 3], [2, 2, 3]))
    assert list(results) == [(1, 2)]
    with pytest.raises(ValueError, match="a pair of cameras with a valid query, got none"):
        evaluate_camera_pairs(rows[:1], rows[:1], labels([1], [1]), labels([1], [1]))
