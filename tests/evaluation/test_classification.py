import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from reid.evaluation.classification import (
    accuracy,
    class_rates,
    confusion_matrix,
    expected_calibration_error,
    mean_class_accuracy,
    row_normalised,
    top_k_accuracy,
    wilson_interval,
)

pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@given(pairs)
def test_every_rate_agrees_with_scikit_learn(drawn: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(drawn).T
    confusion = confusion_matrix(truth, predicted, 4)
    assert confusion.tolist() == metrics.confusion_matrix(truth, predicted, labels=range(4)).tolist()
    assert accuracy(confusion) == pytest.approx(metrics.accuracy_score(truth, predicted))
    expected = metrics.recall_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0)
    assert mean_class_accuracy(confusion) == pytest.approx(expected)
    for label in range(4):
        rates = class_rates(confusion, label)
        one = {"labels": [label], "average": None, "zero_division": 0}
        assert rates.recall == pytest.approx(metrics.recall_score(truth, predicted, **one)[0])
        assert rates.precision == pytest.approx(metrics.precision_score(truth, predicted, **one)[0])
        assert rates.f1 == pytest.approx(metrics.f1_score(truth, predicted, **one)[0])
        if (truth == label).any():
            assert rates.true_positive_rate + rates.false_negative_rate == pytest.approx(1)
        if (truth != label).any():
            assert rates.true_negative_rate + rates.false_positive_rate == pytest.approx(1)
    rows = row_normalised(confusion).sum(axis=1)
    assert rows == pytest.approx((confusion.sum(axis=1) > 0).astype(float))


@given(st.integers(1, 4), st.integers(0, 1000))
def test_top_k_agrees_with_scikit_learn(k: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 5, 30)
    scores = generator.permuted(np.tile(np.arange(5, dtype=np.float32), (30, 1)), axis=1)  # no ties
    expected = metrics.top_k_accuracy_score(truth, scores, k=k, labels=range(5))
    assert top_k_accuracy(truth, scores, k) == pytest.approx(expected)


def test_calibration_error_by_hand() -> None:
    """Three answers of 0.9, two right: |2/3 - 0.9|. Two of 0.6, none right: 0.6. Weighted 3 : 2."""
    scores = np.array([[0.9, 0.1]] * 3 + [[0.6, 0.4]] * 2, np.float32)
    truth = np.array([0, 0, 1, 1, 1])
    assert expected_calibration_error(truth, scores) == pytest.approx(0.6 * abs(2 / 3 - 0.9) + 0.4 * 0.6, abs=1e-6)


@given(st.integers(1, 500), st.floats(0, 1))
def test_the_interval_holds_the_share_and_stays_in_range(trials: int, share: float) -> None:
    successes = round(share * trials)
    low, high = wilson_interval(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1
    assert low < high


def test_labels_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="expected labels of 0 to 1, got 0 to 2"):
        confusion_matrix(np.array([0, 2]), np.array([0, 1]), 2)
    with pytest.raises(ValueError, match="expected as many predictions as labels, got 1 and 2"):
        confusion_matrix(np.array([0, 1]), np.array([0]), 2)
    with pytest.raises(ValueError, match="at least 1 trial"):
        wilson_interval(0, 0)
