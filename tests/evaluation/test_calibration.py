import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid.evaluation.calibration import Calibration, calibrate
from reid.evaluation.labels import PeopleLabels
from tests.conftest import random_calibration
from tests.evaluation.people import labels


def unit(angle_cosine: float) -> list[float]:
    return [angle_cosine, float(np.sqrt(1 - angle_cosine**2))]


def test_a_table_counted_by_hand() -> None:
    query = np.array([[1.0, 0.0]], dtype=np.float32)
    #   person 1, another camera: 0.9, 0.55; own camera 0.99 and junk 0.98 do not count; strangers: 0.6, 0.3, 0.2, 0.1
    gallery = np.array([unit(c) for c in (0.9, 0.55, 0.99, 0.98, 0.6, 0.3, 0.2, 0.1)], dtype=np.float32)
    table = calibrate(
        query, gallery, labels([1], [1]), labels([1, 1, 1, -1, 2, 0, 3, 4], [2, 3, 1, 2, 1, 1, 2, 2]), domain="by hand"
    )
    assert (table.num_genuine_pairs, table.num_impostor_pairs) == (2, 4)
    assert table.false_match_rate([0.1, 0.2, 0.3, 0.6]).tolist() == pytest.approx([1, 3 / 4, 2 / 4, 1 / 4])
    assert 3 / 4 <= table.false_match_rate(0.19) <= 1
    assert table.false_match_rate(-1.0).tolist() == 1.0
    assert table.true_match_rate([0.3, 0.6]).tolist() == pytest.approx([1, 1 / 2])
    assert table.true_match_rate(0.0).tolist() == 1.0


def test_every_rate_is_the_share_of_random_pairs_that_reach_the_score() -> None:
    generator = np.random.default_rng(1)
    rows = generator.normal(size=(300, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    people = PeopleLabels(1 + np.arange(300) % 30, 1 + np.arange(300) // 150)
    table = calibrate(rows[:150], rows[150:], people[:150], people[150:], domain="random")
    different = (rows[:150] @ rows[150:].T)[people.pids[:150, None] != people.pids[150:]]
    assert table.num_impostor_pairs == different.size
    for score, rate in zip(table.scores, table.false_match_rates, strict=True):
        assert rate == pytest.approx(float((different >= score).mean()), abs=2 / different.size)


@given(st.floats(1e-3, 1.0))
def test_a_threshold_keeps_the_rate_it_was_asked_for(rate: float) -> None:
    table = random_calibration()
    assert float(table.false_match_rate(table.score_at(rate))) <= rate * (1 + 1e-9)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20))
def test_a_higher_score_is_never_likelier_to_be_false(scores: list[float]) -> None:
    rates = random_calibration().false_match_rate(sorted(scores))
    assert (np.diff(rates) <= 0).all()


def test_a_rate_below_what_was_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="the smallest measured on 39600 pairs, to 1, got 1e-09"):
        random_calibration().score_at(1e-9)


def test_survives_json_exactly() -> None:
    table = random_calibration()
    assert Calibration.from_json(json.loads(json.dumps(table.to_json()))) == table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scores": (0.4, 0.2)}, "rising scores"),
        ({"false_match_rates": (0.001, 0.1)}, "fall with the score"),
        ({"false_match_rates": (0.1, 0.0)}, r"in \(0, 1\]"),
        ({"scores": (0.2,)}, "three columns of one length"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(change: dict[str, tuple[float, ...]], message: str) -> None:
    good = Calibration("two", (0.2, 0.4), (0.1, 0.001), (0.9, 0.5), 1000, 10)
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(good, **change)  # type: ignore[arg-type]


def test_strangers_grow_with_the_gallery() -> None:
    table = Calibration("two", (0.2, 0.4), (0.1, 0.001), (0.9, 0.5), 1000, 10)
    assert table.expected_false_matches([0.2, 0.4], num_sightings=200_000).tolist() == pytest.approx([20_000, 200])


def test_pairs_of_both_kinds_are_needed() -> None:
    rows = np.eye(2, dtype=np.float32)
    with pytest.raises(ValueError, match="got 0 and 2"):
        calibrate(rows, rows, labels([1, 2], [1, 1]), labels([1, 2], [1, 1]), domain="one camera")
