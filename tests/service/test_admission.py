"""Who is let in: as many as can be answered in time at the pace that was measured."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import admission
from service.admission import Admission
from service.metrics import Metrics
from service.problems import QueueFullError


def house(images_per_s: float, deadline_s: float = 10.0, clock=lambda: 0.0) -> Admission:
    made = Admission(Metrics(), deadline_s, clock)
    made.images_per_s = images_per_s
    return made


def test_what_cannot_be_done_in_time_is_refused_with_when_to_come_back():
    full = house(images_per_s=4.0)
    tickets = [full.arrive() for _ in range(4)]
    for ticket in tickets:
        ticket.hold(5)  # 20 images take 5 s, half of the time
    late = full.arrive()
    with pytest.raises(QueueFullError, match="room for 1 more images within 10 s, got 20 already") as refusal:
        late.hold(1)
    assert refusal.value.retry_after_s == 1
    late.leave()
    assert full.images == 20
    tickets[0].leave()
    tickets[0].leave()
    assert full.images == 15
    late.hold(5)


def test_an_empty_house_lets_anyone_in():
    slow = house(images_per_s=0.01)
    slow.arrive().hold(1)
    with pytest.raises(QueueFullError) as refusal:
        slow.arrive().hold(1)
    assert refusal.value.retry_after_s == 195


def test_however_fast_the_model_is_the_house_is_bounded(monkeypatch):
    monkeypatch.setattr(admission, "MOST_IMAGES", 4)
    fast = house(math.inf)
    fast.arrive().hold(4)
    with pytest.raises(QueueFullError):
        fast.arrive().hold(1)


def test_the_deadline_counts_from_the_arrival():
    now = 100.0
    timed = house(1.0, deadline_s=3.0, clock=lambda: now)
    ticket = timed.arrive()
    now = 102.5
    ticket.begin(1)
    assert (ticket.deadline_s, ticket.left_s, ticket.begun_s) == (103.0, 0.5, 102.5)


def test_what_is_not_the_requests_own_does_not_count():
    now = [0.0]
    ticket = house(4.0, deadline_s=10.0, clock=lambda: now[0]).arrive()
    now[0] = 3.0
    with ticket.uncounted():
        now[0] = 23.0
    assert ticket.left_s == 7.0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=60), st.floats(0.5, 50))
def test_the_house_always_holds_what_its_tickets_hold_and_never_more_than_can_be_done(steps, pace):
    full, tickets, held = house(pace), {}, {}
    for who, images in steps:
        ticket = tickets.setdefault(who, full.arrive())
        try:
            ticket.hold(images)
            held[who] = images
        except QueueFullError:
            assert images > held.get(who, 0)
        assert full.images == sum(held.values())
        alone = sum(images > 0 for images in held.values()) <= 1
        assert alone or full.images / pace <= 5.0 + 1e-9
