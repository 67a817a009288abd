import numpy as np
import pytest

from reid.evaluation.calibration import calibrate
from reid.evaluation.labels import PeopleLabels
from reid.evaluation.match_rate_interval import match_rate_intervals
from tests.evaluation.people import crowd, labels


def test_intervals_hold_the_rates_measured() -> None:
    rows, people = crowd(7, 400, people=40)
    pids = people.pids.copy()
    pids[350:] = np.arange(50) % 2 - 1  # distractors and junk in the gallery
    people = PeopleLabels(pids, people.camids)
    parts = (rows[:100], rows[100:], people[:100], people[100:])
    table = calibrate(*parts, domain="crowd")
    score = table.score_at(0.01)
    intervals = match_rate_intervals(*parts, score=score)
    false, true = intervals.false_match_rate, intervals.true_match_rate
    assert false.low < float(table.false_match_rate(score)) < false.high
    assert true.low < float(table.true_match_rate(score)) < true.high
    assert false.num_people == 40


def test_an_interval_by_hand() -> None:
    """Two people and a distractor. Only the pair of person 1 with the distractor reaches the score."""
    rows = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0]], dtype=np.float32)
    same = np.array([[0.6, 0, 0.8], [0, 0.6, 0.8]], dtype=np.float32)
    gallery = np.concatenate([rows[2:], same])
    intervals = match_rate_intervals(rows[:2], gallery, labels([1, 2], [1, 1]), labels([0, 1, 2], [2, 2, 2]), score=0.9)
    # Draws (2, 0), (1, 1), (0, 2) of the people reach it with 2 of 2, 1 of 4 and 0 of 2 pairs.
    assert (intervals.false_match_rate.low, intervals.false_match_rate.high) == (0.0, 1.0)
    assert (intervals.true_match_rate.low, intervals.true_match_rate.high) == (0.0, 0.0)


def test_both_kinds_of_pairs_are_needed() -> None:
    rows = np.eye(2, dtype=np.float32)
    with pytest.raises(ValueError, match="got one kind only"):
        match_rate_intervals(rows, rows, labels([1, 2], [1, 1]), labels([3, 4], [2, 2]), score=0.5)
