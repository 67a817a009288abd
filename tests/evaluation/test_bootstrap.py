import numpy as np
import pytest

from reid.evaluation.bootstrap import RESAMPLES, mean_interval, people_draws


def test_people_are_drawn_not_queries() -> None:
    """100 queries of 2 people who differ: the mean is as uncertain as with 2 queries."""
    pids = np.repeat([1, 2], 50)
    interval = mean_interval((pids == 1).astype(np.float64), pids)
    assert (interval.low, interval.high, interval.num_people) == (0.0, 1.0, 2)


def test_the_interval_of_many_people_is_the_normal_one() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(0.5, 0.2, size=900)
    interval = mean_interval(values, np.arange(900))
    half = 1.96 * values.std() / np.sqrt(900)
    assert interval.low == pytest.approx(values.mean() - half, abs=0.003)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.003)


def test_people_weigh_by_their_queries() -> None:
    values, pids = np.array([1.0, 1.0, 1.0, 0.0]), np.array([1, 1, 1, 2])
    means = {
        round(mean, 6) for draws in people_draws(2, seed=0) for mean in (draws @ [3, 0] / (draws @ [3, 1])).tolist()
    }
    assert means == {0.0, 0.75, 1.0}
    assert mean_interval(values, pids).num_people == 2


def test_queries_without_a_match_are_left_out() -> None:
    interval = mean_interval(np.array([0.5, 0.5, np.nan]), np.array([1, 2, 3]))
    assert (interval.low, interval.high, interval.num_people) == (0.5, 0.5, 2)


def test_many_people_are_drawn_in_several_lots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reid.evaluation.bootstrap._WEIGHTS_AT_ONCE", 1_000)
    lots = list(people_draws(7, seed=1))
    assert len(lots) > 1
    assert sum(len(lot) for lot in lots) == RESAMPLES
    assert all((lot.sum(axis=1) == 7).all() for lot in lots)


def test_one_person_says_nothing_about_others() -> None:
    with pytest.raises(ValueError, match="at least 2 people to resample, got 1"):
        mean_interval(np.array([0.5, 0.7]), np.array([4, 4]))
    with pytest.raises(ValueError, match="values and pids of one length"):
        mean_interval(np.array([0.5]), np.array([4, 4]))
