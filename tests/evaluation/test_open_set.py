import numpy as np
import pytest
from sklearn.metrics import roc_curve

from reid.evaluation.labels import Exclude, PeopleLabels
from reid.evaluation.open_set import TopScores, top_scores, verification_roc
from reid.evaluation.score_histogram import ScoreHistogram, score_histograms
from tests.evaluation.oracle import is_excluded
from tests.evaluation.people import crowd, labels


def counts(**at: int) -> np.ndarray:
    column = np.zeros(2000, dtype=np.int64)
    for name, count in at.items():
        column[1000 + int(name[1:])] = count
    return column


def test_equal_errors_by_hand() -> None:
    # At 0.5, one of four same pairs is missed and one of four different ones let through.
    roc = verification_roc(ScoreHistogram(counts(_400=1, _600=3), counts(_100=3, _550=1)))
    assert roc.equal_error_rate == pytest.approx(0.25)
    assert roc.true_match_rate_at(0.25) == 1.0
    assert roc.true_match_rate_at(0.24) == 0.75
    assert roc.true_match_rate_at(0.0) == 0.75
    with pytest.raises(ValueError, match="false-match rate of at least 0, got -1"):
        roc.true_match_rate_at(-1)


def test_kinds_that_do_not_overlap_have_no_error() -> None:
    roc = verification_roc(ScoreHistogram(counts(_600=3), counts(_100=3)))
    assert roc.equal_error_rate == 0.0


def test_kinds_that_are_alike_err_half_the_time() -> None:
    roc = verification_roc(ScoreHistogram(counts(_100=1, _600=1), counts(_100=1, _600=1)))
    assert roc.equal_error_rate == pytest.approx(0.5)


def test_a_kind_that_is_missing_is_refused() -> None:
    with pytest.raises(ValueError, match="got 0 and 3"):
        verification_roc(ScoreHistogram(counts(), counts(_100=3)))


def test_the_curve_is_scikit_learns() -> None:
    rows, people = crowd(1, 300, people=20)
    # On a grid of scores, so that bins hold exactly what scikit-learn's thresholds do.
    histogram = ScoreHistogram.total(score_histograms(rows[:100], rows[100:], people[:100], people[100:]).values())
    same = np.repeat(histogram.scores, histogram.genuine)
    different = np.repeat(histogram.scores, histogram.impostor)
    truth = np.concatenate([np.ones(len(same)), np.zeros(len(different))])
    fmr, tmr, thresholds = roc_curve(truth, np.concatenate([same, different]), drop_intermediate=False)
    roc = verification_roc(histogram)
    at = np.searchsorted(roc.scores, thresholds[1:] - 1e-9)
    assert roc.false_match_rates[at] == pytest.approx(fmr[1:])
    assert roc.true_match_rates[at] == pytest.approx(tmr[1:])
    crossing = int(np.argmin(np.abs(fmr - (1 - tmr))))
    assert roc.equal_error_rate == pytest.approx(fmr[crossing], abs=0.01)


@pytest.mark.parametrize("exclude", Exclude)
def test_best_scores_are_those_of_a_plain_loop(exclude: Exclude) -> None:
    rows, people = crowd(2, 90, people=9)
    people = PeopleLabels(
        np.where(np.arange(90) % 7 == 5, np.arange(90) % 2 - 1, people.pids), people.camids, np.arange(90) % 2
    )
    query, gallery = np.flatnonzero(people.pids[:30] > 0), np.arange(30, 90)
    q, g = people[query], people[gallery]
    top = top_scores(rows[query], rows[gallery], q, g, exclude=exclude)
    scores = rows[query] @ rows[gallery].T
    for i in range(len(query)):
        kept = [j for j in range(60) if g.pids[j] != -1 and not is_excluded(q, i, g, j, exclude)]
        own = [scores[i, j] for j in kept if g.pids[j] == q.pids[i]]
        assert top.own[i] == pytest.approx(max(own, default=-np.inf))
        assert top.other[i] == pytest.approx(max(scores[i, j] for j in kept if g.pids[j] != q.pids[i]))


def test_identification_by_hand() -> None:
    top = TopScores(np.float32([0.9, 0.8, 0.3, -np.inf]), np.float32([0.2, 0.85, 0.1, 0.5]))
    # Of four searches for people who are not there, none may be answered: the threshold lies just above 0.85.
    assert top.threshold_at(0.0) == pytest.approx(0.85)
    assert top.identification_rate(0.0) == pytest.approx(1 / 3)
    # One of four may: above 0.5. 0.8 reaches it, but a stranger is in front.
    assert top.identification_rate(0.25) == pytest.approx(1 / 3)
    assert top.identification_rate(0.75) == pytest.approx(2 / 3)  # above 0.1
    with pytest.raises(ValueError, match=r"from 1 in 4 searches up to 1, got 0\.1"):
        top.identification_rate(0.1)


def test_nobody_is_there() -> None:
    with pytest.raises(ValueError, match="a query whose person is in the gallery, got none"):
        TopScores(np.float32([-np.inf]), np.float32([0.5])).identification_rate(0.0)


def test_a_gallery_of_the_person_alone_has_no_other_score() -> None:
    rows = np.eye(1, dtype=np.float32)
    top = top_scores(rows, rows, labels([1], [1]), labels([1], [2]))
    assert (top.own.tolist(), top.other.tolist()) == ([1.0], [-np.inf])
