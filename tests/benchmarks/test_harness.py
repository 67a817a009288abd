import dataclasses
import itertools
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import harness
from benchmarks.harness import Row, compare, main


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Callable[[], None]]:
    """Jobs that take exactly as long as they say, by a clock of their own."""
    now = [0.0]
    monkeypatch.setattr(harness.time, "perf_counter", lambda: now[0])

    def job(seconds: float) -> Callable[[], None]:
        def work() -> None:
            now[0] += seconds

        return work

    return job


def test_a_ratio_above_1_means_that_ours_is_better(clock: Callable[[float], Callable[[], None]]) -> None:
    row = compare("name", clock(0.010), clock(0.030), peer_name="slow", pairs=3, per=2)
    assert (row.ours, row.peer, row.unit, row.higher_is_better) == (5.0, 15.0, "ms", False)
    assert row.ratio == pytest.approx(3.0)
    assert row.spread == pytest.approx((3.0, 3.0))


def test_the_two_take_turns_after_a_warm_up_of_each() -> None:
    calls: list[str] = []
    compare("name", lambda: calls.append("ours"), lambda: calls.append("peer"), peer_name="p", pairs=3)
    assert calls == ["ours", "peer"] * 4


def test_rows_say_where_and_how_they_were_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "rows.json"
    ticks = itertools.count()
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--json", str(out)])
    main("search", lambda: [compare("a", lambda: next(ticks), lambda: next(ticks), peer_name="p", pairs=1)])
    (row,) = json.loads(out.read_text())
    assert set(row) == {field.name for field in dataclasses.fields(Row)}
    assert row["command"] == "python -m benchmarks.search"
    assert row["hardware"]
    assert "torch" in row["versions"]


def test_an_option_is_given_to_the_rows_and_named_in_their_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, given, ticks = tmp_path / "rows.json", list[float](), itertools.count()
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--json", str(out), "--minutes", "0.5"])

    def rows(minutes: float) -> list[Row]:
        given.append(minutes)
        return [compare("a", lambda: next(ticks), lambda: next(ticks), peer_name="p", pairs=1)]

    main("service", rows, minutes=1)
    assert given == [0.5]
    assert json.loads(out.read_text())[0]["command"] == "python -m benchmarks.service --minutes 0.5"
