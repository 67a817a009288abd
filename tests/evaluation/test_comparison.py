import dataclasses

import numpy as np
import pytest

from reid.evaluation.comparison import compare_results
from reid.evaluation.retrieval import RetrievalResult, evaluate_retrieval
from tests.evaluation.people import crowd


def result(noise: float) -> RetrievalResult:
    rows, people = crowd(8, 300, people=30, noise=noise)
    return evaluate_retrieval(rows[:90], rows[90:], people[:90], people[90:])


def pids() -> np.ndarray:
    return crowd(8, 300, people=30)[1].pids[:90]


def test_a_sharper_embedding_is_better_and_the_other_way_round_worse() -> None:
    good, bad = result(0.5), result(1.5)
    for comparison in compare_results(bad, good, pids()):
        assert comparison.verdict == "better"
        assert comparison.difference.low <= comparison.b - comparison.a <= comparison.difference.high
    assert {comparison.verdict for comparison in compare_results(good, bad, pids())} == {"worse"}


def test_a_result_is_no_better_than_itself() -> None:
    for comparison in compare_results(result(1.0), result(1.0), pids()):
        assert (comparison.difference.low, comparison.difference.high) == (0.0, 0.0)
        assert comparison.verdict == "no difference found"


def test_pairing_sees_what_two_intervals_would_not() -> None:
    """Every query gains a little: far less than people differ from each other, and yet surely."""
    plain = result(1.5)
    lifted = dataclasses.replace(plain, ap_step=plain.ap_step + 0.01)
    mean_ap = next(row for row in compare_results(plain, lifted, pids()) if row.metric == "mean_ap")
    assert mean_ap.verdict == "better"
    assert mean_ap.difference.low == pytest.approx(0.01)


def test_results_of_different_queries_are_refused() -> None:
    plain = result(1.0)
    other = dataclasses.replace(plain, first_hit_rank=np.append(plain.first_hit_rank[1:], -1))
    with pytest.raises(ValueError, match="two results of the same queries and gallery, got 90 valid queries"):
        compare_results(plain, other, pids())
