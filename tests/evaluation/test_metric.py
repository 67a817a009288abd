import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.errors import VectorError
from reid.evaluation.labels import Exclude, PeopleLabels
from reid.evaluation.metric import RetrievalMetric
from reid.evaluation.retrieval import evaluate_retrieval
from tests.evaluation.people import crowd, labels


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), cuts=st.tuples(st.integers(1, 20), st.integers(21, 39), st.integers(41, 119)))
def test_batches_and_workers_give_the_same_figures(seed: int, cuts: tuple[int, int, int]) -> None:
    rows, people = crowd(seed, 120, people=10)
    whole = evaluate_retrieval(rows[:40], rows[40:], people[:40], people[40:])
    first, second = RetrievalMetric("id"), RetrievalMetric("id")
    for metric, start, stop in ((first, 0, cuts[0]), (first, cuts[0], cuts[1]), (second, cuts[1], 40)):
        metric.update_queries(rows[start:stop], people[start:stop])
    first.update_gallery(rows[40 : cuts[2]], people[40 : cuts[2]])
    second.update_gallery(rows[cuts[2] :], people[cuts[2] :])
    merged = first.merge(second).compute()
    for name, column in dataclasses.asdict(whole).items():
        assert np.array_equal(getattr(merged, name), column, equal_nan=True)


def test_vectors_of_two_bundles_are_never_compared() -> None:
    with pytest.raises(VectorError, match="expected vectors of bundle a, got some of b"):
        RetrievalMetric("a").merge(RetrievalMetric("b"))


def test_nothing_to_compute() -> None:
    with pytest.raises(ValueError, match="expected queries and a gallery, got 0 and 0 updates"):
        RetrievalMetric("a").compute()


def test_a_bad_batch_is_refused_when_it_comes() -> None:
    with pytest.raises(VectorError, match="query rows of unit length, but row 0 has length nan"):
        RetrievalMetric("a").update_queries(np.full((1, 2), np.nan, dtype=np.float32), labels([1], [1]))


def test_tracklets_come_with_all_updates_or_with_none() -> None:
    eye, runs = np.eye(2, dtype=np.float32), np.array([1, 1])
    metric = RetrievalMetric("a", exclude=Exclude.SAME_TRACKLET)
    metric.update_queries(eye, PeopleLabels(np.array([1, 2]), np.array([1, 1]), runs))
    metric.update_gallery(eye, PeopleLabels(np.array([1, 2]), np.array([1, 1]), runs + 1))
    assert metric.compute().rank(1) == 1.0
    metric.update_gallery(eye, labels([1, 2], [1, 1]))
    with pytest.raises(ValueError, match="tracklets in all updates or in none, got them in 1 of 2"):
        metric.compute()
