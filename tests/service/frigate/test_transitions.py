"""What is learned of the ways between cameras, against counting it all anew; and that it never promises too much."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.frigate.transitions import HORIZON_S, LARGEST, Transitions

PEOPLE, CAMERAS = ("ada", "bob", "eve"), ("door", "yard")
Seen = tuple[str, str, float]
histories = st.lists(
    st.tuples(st.sampled_from(PEOPLE), st.sampled_from(CAMERAS), st.sampled_from([0.0, 1.0, 7.0, 60.0, HORIZON_S])),
    max_size=40,
).map(
    lambda found: [
        (who, where, sum(pause for *_, pause in found[: at + 1])) for at, (who, where, _) in enumerate(found)
    ]
)


def learned(history: list[Seen]) -> Transitions:
    transitions = Transitions()
    for one in history:
        transitions.settle(*one)
    return transitions


def step(history: list[Seen], person: str, camera: str, at_s: float) -> tuple[str, str, int] | None:
    """From where a person was last seen to there."""
    seen = [(where, since) for who, where, since in history if who == person]
    if not seen or at_s - seen[-1][1] > HORIZON_S:
        return None
    return seen[-1][0], camera, int(math.log2(1 + at_s - seen[-1][1]))


def counted(history: list[Seen]) -> tuple[Counter, Counter]:
    """How often each step was made by the person who came, and could have been by anybody."""
    own, anybodys = Counter(), Counter()
    for number, (who, camera, at_s) in enumerate(history):
        for person in PEOPLE:
            made = step(history[:number], person, camera, at_s)
            if made is not None:
                anybodys[made] += 1
                own[made] += person == who
    return own, anybodys


@given(histories, st.sampled_from(PEOPLE), st.sampled_from(CAMERAS), st.sampled_from([0.0, 5.0, 90.0]))
def test_the_ratio_is_that_of_the_shares_drawn_towards_1(history, person, camera, pause):
    own, anybodys = counted(history)
    at_s = (history[-1][2] if history else 0.0) + pause
    asked = step(history, person, camera, at_s)
    num_own, num_anybodys = (sum(n for one, n in counts.items() if one[1] == camera) for counts in (own, anybodys))
    if asked is None or not num_anybodys:
        expected = 1.0
    else:
        shares = own[asked] / anybodys[asked] * num_anybodys if own[asked] else 0.0
        expected = min(LARGEST, 0.1 + 0.9 * (shares + 20) / (num_own + 20))
    assert learned(history).ratio(person, camera, at_s) == pytest.approx(expected)


@given(histories)
def test_over_the_steps_that_anybody_could_have_made_its_mean_is_1_at_most(history):
    """What makes a false-match rate that is divided by it still a bound."""
    transitions = learned(history)
    _, anybodys = counted(history)
    for camera in CAMERAS:
        total = number = 0.0
        for (origin, to, octave), times in anybodys.items():
            if to == camera:
                transitions._last["somebody"] = origin, 0.0
                total += times * transitions.ratio("somebody", camera, min(HORIZON_S, 2.0**octave - 1))
                number += times
        assert total <= number + 1e-9


def test_nothing_is_said_where_nothing_was_learned_or_somebody_was_long_away():
    transitions = Transitions()
    assert transitions.ratio("ada", "door", 0.0) == 1.0
    transitions.settle("ada", "door", 0.0)
    assert transitions.ratio("ada", "yard", 10.0) == 1.0
    transitions.settle("ada", "yard", 10.0)
    assert transitions.ratio("ada", "yard", 11.0 + HORIZON_S) == 1.0
    assert transitions.ratio("ada", "yard", 9.0) == 1.0  # before they were last seen


def test_the_usual_way_speaks_for_somebody_and_one_that_nobody_takes_against():
    history = []
    for number in range(50):
        at_s = 100.0 * number
        history += [("ada", "door", at_s), ("ada", "yard", at_s + 10), ("bob", "gate", at_s + 50)]
    transitions, now_s = learned(history), 5000.0
    transitions.settle("ada", "door", now_s)
    assert transitions.ratio("ada", "yard", now_s + 10) > 1.2
    assert transitions.ratio("bob", "yard", now_s + 10) < 0.5
