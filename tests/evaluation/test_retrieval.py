import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from reid.datasets.crop import labels_of
from reid.datasets.market1501 import Market1501
from reid.errors import VectorError
from reid.evaluation.labels import Exclude, PeopleLabels
from reid.evaluation.retrieval import average_precision, evaluate_retrieval, evaluate_scores, inverse_negative_penalty
from tests.evaluation.oracle import slow_retrieval
from tests.evaluation.people import crowd, exact_unit_rows, labels, unit_rows


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
    assert result.mean_inp == pytest.approx(2 / 4)  # two hits within the first four places
    assert result.num_gallery == 5
    assert result.cmc(3).tolist() == [0.0, 1.0, 1.0]


def test_ties_break_by_gallery_position() -> None:
    query = np.array([[1.0, 0.0]], dtype=np.float32)
    gallery = np.repeat(query, 3, axis=0)
    result = evaluate_retrieval(query, gallery, labels([1], [1]), labels([2, 1, 1], [2, 2, 2]))
    assert result.first_hit_rank.tolist() == [1]
    assert result.mean_ap == pytest.approx((1 / 2 + 2 / 3) / 2)


@settings(max_examples=200)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_queries=st.integers(1, 12),
    num_gallery=st.integers(1, 40),
    people=st.integers(1, 6),
    cameras=st.integers(1, 3),
    exclude=st.sampled_from(Exclude),
)
def test_agrees_with_the_blackboard(
    seed: int, num_queries: int, num_gallery: int, people: int, cameras: int, exclude: Exclude
) -> None:
    generator = np.random.default_rng(seed)
    query = exact_unit_rows(generator, num_queries)
    gallery = exact_unit_rows(generator, num_gallery)
    q, g = (
        PeopleLabels(
            generator.integers(lowest, people + 1, count),
            generator.integers(1, cameras + 1, count),
            generator.integers(1, 3, count),
        )
        for lowest, count in ((1, num_queries), (-1, num_gallery))
    )
    expected = slow_retrieval(query, gallery, q, g, exclude)
    if not expected.num_valid_queries:
        with pytest.raises(ValueError, match="at least one query with a true match"):
            evaluate_retrieval(query, gallery, q, g, exclude=exclude)
        return
    result = evaluate_retrieval(query, gallery, q, g, exclude=exclude)
    assert result.num_valid_queries == expected.num_valid_queries
    assert {k: result.rank(k) for k in expected.rank_k} == pytest.approx(expected.rank_k)
    assert result.mean_ap == pytest.approx(expected.mean_ap, abs=1e-9)
    assert result.mean_ap_trapezoid == pytest.approx(expected.mean_ap_trapezoid, abs=1e-9)
    assert result.mean_inp == pytest.approx(expected.mean_inp, abs=1e-9)
    from_scores = evaluate_scores(query @ gallery.T, q, g, exclude=exclude)
    assert np.array_equal(from_scores.ap_step, result.ap_step, equal_nan=True)


def test_the_step_average_precision_is_scikit_learns() -> None:
    rows, people = crowd(14, 200, people=10, noise=1.5)
    result = evaluate_retrieval(rows[:30], rows[30:], people[:30], people[30:])
    for i in range(30):
        kept = (people.pids[30:] != people.pids[i]) | (people.camids[30:] != people.camids[i])
        relevant = people.pids[30:][kept] == people.pids[i]
        expected = average_precision_score(relevant, (rows[30:] @ rows[i])[kept])
        assert result.ap_step[i] == pytest.approx(expected, abs=1e-9)


@given(st.sets(st.integers(0, 200), min_size=1, max_size=20))
def test_the_trapezoid_never_exceeds_the_step(ranks: set[int]) -> None:
    step, trapezoid = average_precision(np.array(sorted(ranks)))
    assert 0 < trapezoid <= step <= 1
    assert 0 < inverse_negative_penalty(np.array(sorted(ranks))) <= 1


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


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="expected finite scores, got nan"):
        evaluate_scores(np.full((1, 1), np.nan, dtype=np.float32), labels([1], [1]), labels([1], [2]))
    with pytest.raises(ValueError, match=r"expected scores \(1, 2\), got \(1, 1\)"):
        evaluate_scores(np.zeros((1, 1), dtype=np.float32), labels([1], [1]), labels([1, 2], [2, 2]))


def test_callers_scores_are_left_alone() -> None:
    scores = np.array([[0.9, 0.8, 0.7]], dtype=np.float32)
    before = scores.copy()
    evaluate_scores(scores, labels([1], [1]), labels([1, 2, 1], [1, 1, 2]))
    assert np.array_equal(scores, before)


def test_another_occasion_on_the_same_camera_counts_by_the_tracklet_rule() -> None:
    rows = np.eye(3, dtype=np.float32)[[0, 0, 1, 0]]
    who = PeopleLabels(np.array([1, 1, 1, 2]), np.array([1, 1, 1, 1]), np.array([1, 1, 2, 1]))
    result = evaluate_retrieval(rows[:1], rows[1:], who[:1], who[1:], exclude=Exclude.SAME_TRACKLET)
    assert result.first_hit_rank.tolist() == [1]  # the stranger first; the crop of the same tracklet is left out
    with pytest.raises(ValueError, match="a true match on another camera, got none"):
        evaluate_retrieval(rows[:1], rows[1:], who[:1], who[1:])
    with pytest.raises(ValueError, match="expected tracklets for the rule 'same-tracklet'"):
        evaluate_retrieval(rows[:1], rows[1:], labels([1], [1]), who[1:], exclude=Exclude.SAME_TRACKLET)


@pytest.mark.parametrize("pid", [0, -1])
def test_only_people_are_asked_for(pid: int) -> None:
    rows = np.eye(1, dtype=np.float32)
    with pytest.raises(ValueError, match=f"expected queries of people .*, got pid {pid}"):
        evaluate_retrieval(rows, rows, labels([pid], [1]), labels([1], [2]))


def test_queries_without_a_match_are_counted_and_left_out() -> None:
    rows = np.eye(2, dtype=np.float32)
    result = evaluate_retrieval(rows, rows[:1], labels([1, 9], [1, 1]), labels([1], [2]))
    assert (result.num_queries, result.num_valid_queries) == (2, 1)
    assert (result.rank(1), result.mean_ap, result.mean_inp) == (1.0, 1.0, 1.0)
    assert np.isnan(result.ap_step[1])


def test_rank_0_does_not_exist() -> None:
    rows = np.eye(2, dtype=np.float32)
    result = evaluate_retrieval(rows, rows, labels([1, 2], [1, 1]), labels([1, 2], [2, 2]))
    with pytest.raises(ValueError, match="k of at least 1, got 0"):
        result.rank(0)
