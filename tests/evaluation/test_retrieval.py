import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reid.datasets.market1501 import Market1501, labels_of
from reid.errors import VectorError
from reid.evaluation.labels import PeopleLabels
from reid.evaluation.retrieval import average_precision, evaluate_retrieval
from tests.evaluation.oracle import slow_retrieval


def unit_rows(generator: np.random.Generator, count: int, dimension: int) -> NDArray[np.float32]:
    rows = generator.normal(size=(count, dimension)).astype(np.float32)
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def exact_unit_rows(generator: np.random.Generator, count: int) -> NDArray[np.float32]:
    """4-d unit rows whose products float32 holds exactly, so that ties are ties whatever the order of summation."""
    halves = generator.choice(np.array([-0.5, 0.5], dtype=np.float32), (count, 4))
    axes = np.eye(4, dtype=np.float32)[generator.integers(4, size=count)]
    rows: NDArray[np.float32] = np.where(generator.random((count, 1)) < 0.5, halves, axes)
    return rows


def labels(pids: list[int], camids: list[int]) -> PeopleLabels:
    return PeopleLabels(np.array(pids, dtype=np.int64), np.array(camids, dtype=np.int64))


def test_a_case_worked_by_hand() -> None:
    # One query of person 1 on camera 1. By falling score: junk, own camera, a stranger, a hit, a distractor, a hit.
    query = np.array([[1.0, 0.0]], dtype=np.float32)
    cosines = np.array([0.95, 0.9, 0.8, 0.7, 0.6, 0.5], dtype=np.float32)
    gallery = np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1)
    result = evaluate_retrieval(query, gallery, labels([1], [1]), labels([-1, 1, 2, 1, 0, 1], [2, 1, 2, 2, 2, 3]))
    # Kept: stranger, hit (rank 1), distractor, hit (rank 3). Step: (1/2 + 2/4) / 2. Trapezoid: (1/4 + 5/12) / 2.
    assert result.first_hit_rank.tolist() == [1]
    assert (result.rank(1), result.rank(2)) == (0.0, 1.0)
    assert result.mean_ap == pytest.approx(0.5)
    assert result.mean_ap_trapezoid == pytest.approx((1 / 4 + (2 / 4 + 1 / 3) / 2) / 2)
    assert result.num_gallery == 5


def test_ties_break_by_gallery_position() -> None:
    query = np.array([[1.0, 0.0]], dtype=np.float32)
    gallery = np.repeat(query, 3, axis=0)
    result = evaluate_retrieval(query, gallery, labels([1], [1]), labels([2, 1, 1], [2, 2, 2]))
    assert result.first_hit_rank.tolist() == [1]
    assert result.mean_ap == pytest.approx((1 / 2 + 2 / 3) / 2)


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_queries=st.integers(1, 12),
    num_gallery=st.integers(1, 40),
    people=st.integers(1, 6),
    cameras=st.integers(1, 3),
)
def test_agrees_with_the_blackboard(seed: int, num_queries: int, num_gallery: int, people: int, cameras: int) -> None:
    generator = np.random.default_rng(seed)
    query = exact_unit_rows(generator, num_queries)
    gallery = exact_unit_rows(generator, num_gallery)
    q = PeopleLabels(generator.integers(1, people + 1, num_queries), generator.integers(1, cameras + 1, num_queries))
    g = PeopleLabels(generator.integers(-1, people + 1, num_gallery), generator.integers(1, cameras + 1, num_gallery))
    expected = slow_retrieval(query, gallery, q, g)
    if not expected.num_valid_queries:
        with pytest.raises(ValueError, match="at least one query with a true match"):
            evaluate_retrieval(query, gallery, q, g)
        return
    result = evaluate_retrieval(query, gallery, q, g)
    assert result.num_valid_queries == expected.num_valid_queries
    assert {k: result.rank(k) for k in expected.rank_k} == pytest.approx(expected.rank_k)
    assert result.mean_ap == pytest.approx(expected.mean_ap, abs=1e-9)
    assert result.mean_ap_trapezoid == pytest.approx(expected.mean_ap_trapezoid, abs=1e-9)


@given(st.sets(st.integers(0, 200), min_size=1, max_size=20))
def test_the_trapezoid_never_exceeds_the_step(ranks: set[int]) -> None:
    step, trapezoid = average_precision(np.array(sorted(ranks)))
    assert 0 < trapezoid <= step <= 1


@pytest.mark.market1501
def test_all_of_market1501_agrees_with_the_blackboard_on_a_sample(market1501: Market1501) -> None:
    """The labels are all of the set's; the vectors are random around their person, since only ranks matter here."""
    q, g = labels_of(market1501.query), labels_of(market1501.gallery)
    generator = np.random.default_rng(0)
    people = unit_rows(generator, 2000, 64)
    query = people[q.pids] + 0.17 * generator.normal(size=(len(q), 64)).astype(np.float32)
    gallery = people[np.maximum(g.pids, 0)] + 0.17 * generator.normal(size=(len(g), 64)).astype(np.float32)
    query /= np.linalg.norm(query, axis=1, keepdims=True)
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    sample = np.arange(0, len(q), 40)
    result = evaluate_retrieval(query, gallery, q, g)
    expected = slow_retrieval(query[sample], gallery, q[sample], g)
    assert result.num_gallery == 15_913
    assert (result.num_queries, result.num_valid_queries) == (3_368, 3_368)
    assert float(np.mean(result.ap_step[sample])) == pytest.approx(expected.mean_ap, abs=1e-6)
    assert float(np.mean(result.ap_trapezoid[sample])) == pytest.approx(expected.mean_ap_trapezoid, abs=1e-6)
    assert float((result.first_hit_rank[sample] == 0).mean()) == pytest.approx(expected.rank_k[1])


@pytest.mark.parametrize("broken", [np.nan, np.inf, 0.5])
def test_vectors_that_are_not_unit_rows_are_refused_by_row(broken: float) -> None:
    query = np.array([[1.0, 0.0], [broken, 0.0]], dtype=np.float32)
    gallery = np.array([[1.0, 0.0]], dtype=np.float32)
    with pytest.raises(VectorError, match="query rows of unit length, but row 1 has length"):
        evaluate_retrieval(query, gallery, labels([1, 1], [1, 1]), labels([1], [2]))


def test_shapes_that_do_not_fit_are_refused() -> None:
    rows = np.eye(2, dtype=np.float32)
    with pytest.raises(ValueError, match=r"query vectors \(1, D\), one per label, got \(2, 2\)"):
        evaluate_retrieval(rows, rows, labels([1], [1]), labels([1, 2], [2, 2]))
    with pytest.raises(ValueError, match="of one length, got 2 and 3"):
        evaluate_retrieval(rows, np.eye(3, dtype=np.float32), labels([1, 2], [1, 1]), labels([1, 2, 3], [2, 2, 2]))


def test_rank_0_does_not_exist() -> None:
    rows = np.eye(2, dtype=np.float32)
    result = evaluate_retrieval(rows, rows, labels([1, 2], [1, 1]), labels([1, 2], [2, 2]))
    with pytest.raises(ValueError, match="k of at least 1, got 0"):
        result.rank(0)
