import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid.errors import VectorError
from reid.evaluation.reranking import RerankParameters, rerank
from reid.evaluation.retrieval import evaluate_retrieval, evaluate_scores
from tests.evaluation.dense_reranking import dense_rerank
from tests.evaluation.people import crowd, exact_unit_rows, unit_rows


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_queries=st.integers(1, 8),
    num_gallery=st.integers(1, 40),
    k1=st.integers(1, 24),
    k2=st.integers(1, 8),
    weight=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_agrees_with_the_paper_written_out(
    seed: int, num_queries: int, num_gallery: int, k1: int, k2: int, weight: float
) -> None:
    rows, _ = crowd(seed, num_queries + num_gallery, people=6, noise=0.7)
    query, gallery = rows[:num_queries], rows[num_queries:]
    parameters = RerankParameters(max(k1, k2), k2, weight)
    expected = dense_rerank(query, gallery, parameters.k1, k2, weight)
    assert rerank(query, gallery, parameters) == pytest.approx(expected, abs=2e-5)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_queries=st.integers(1, 6),
    num_gallery=st.integers(1, 60),
    k1=st.integers(1, 12),
)
def test_copies_of_a_crop_count_in_their_order(seed: int, num_queries: int, num_gallery: int, k1: int) -> None:
    """With more copies than neighbours, some points are in nobody's set, their own included."""
    rows = exact_unit_rows(np.random.default_rng(seed), num_queries + num_gallery)
    query, gallery = rows[:num_queries], rows[num_queries:]
    k2 = min(k1, 4)
    expected = dense_rerank(query, gallery, k1, k2, 0.3)
    assert rerank(query, gallery, RerankParameters(k1, k2)) == pytest.approx(expected, abs=2e-5)


def test_agrees_with_the_paper_at_its_own_parameters_over_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reid.evaluation.scores._BLOCK_BYTES", 50_000)
    monkeypatch.setattr("reid.evaluation.reranking._POINTS_AT_ONCE", 64)
    monkeypatch.setattr("reid.evaluation.reranking._PAIRS_AT_ONCE", 100)
    rows, _ = crowd(3, 300, people=20)
    expected = dense_rerank(rows[:40], rows[40:], 20, 6, 0.3)
    assert rerank(rows[:40], rows[40:]) == pytest.approx(expected, abs=2e-5)


def test_neighbours_vouch_for_each_other() -> None:
    """People whose crops lie apart in the original distances are found through their other crops."""
    rows, people = crowd(5, 400, people=20, noise=1.4)
    query, gallery, q, g = rows[:60], rows[60:], people[:60], people[60:]
    plain = evaluate_retrieval(query, gallery, q, g)
    reranked = evaluate_scores(-rerank(query, gallery), q, g)
    assert reranked.mean_ap > plain.mean_ap + 0.05


def test_the_best_matches_of_one_query_can_be_reranked_alone() -> None:
    rows, _ = crowd(6, 101, people=10)
    distances = rerank(rows[:1], rows[1:])
    assert (distances.shape, distances.dtype) == ((1, 100), np.float32)
    assert distances == pytest.approx(dense_rerank(rows[:1], rows[1:], 20, 6, 0.3), abs=2e-5)


def test_a_pair_of_the_same_crop_is_not_divided_by_zero() -> None:
    row = np.eye(1, 4, dtype=np.float32)
    assert rerank(row, row).tolist() == [[0.0]]


@pytest.mark.parametrize(("k1", "k2", "weight"), [(20, 21, 0.3), (20, 0, 0.3), (20, 6, 1.5), (20, 6, float("nan"))])
def test_parameters_without_meaning_are_refused(k1: int, k2: int, weight: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        RerankParameters(k1, k2, weight)


def test_vectors_that_do_not_fit_are_refused() -> None:
    generator = np.random.default_rng(0)
    with pytest.raises(ValueError, match="of one length, got 4 and 5"):
        rerank(unit_rows(generator, 2, 4), unit_rows(generator, 2, 5))
    with pytest.raises(VectorError, match="gallery rows of unit length, but row 1 has length 2"):
        rerank(np.eye(2, dtype=np.float32), np.diag([1, 2]).astype(np.float32))
