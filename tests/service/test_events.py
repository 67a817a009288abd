"""GET /v1/events: who is seen, told in order, once at least, to those who may know."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from service.gallery.sqlite.keys import open_keys, revoke_key

NORTH = frozenset(["north"])


@contextmanager
def listening(service, headers=None, **query):
    """Events as (event, id, data), as long as they come."""
    with service.client.stream("GET", "/v1/events", params=query, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield parsed(answer.iter_lines())


def parsed(lines: Iterator[str]) -> Iterator[tuple[str, str | None, dict]]:
    fields: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield fields["event"], fields.get("id"), json.loads(fields["data"])
            fields = {}


def test_everybody_who_is_seen_is_told_as_it_happens(service):
    service.enrol(1, person_id="before")
    with listening(service) as events:
        known = service.enrol(2, 3, person_id="ada", camera_id="north")["sightings"]
        told = [next(events), next(events)]
        assert [(kind, ident) for kind, ident, _ in told] == [("person_seen", None), ("person_seen", "2")]
        assert [data["sighting"] for _, _, data in told] == known
        unknown = service.enrol(4)["sightings"][0]["sighting_id"]
        kind, ident, data = next(events)
        assert (kind, ident, data["sighting"]["sighting_id"]) == ("unknown_person_seen", "3", unknown)


def test_a_listener_comes_back_and_misses_nothing(service):
    for seed in range(4):
        service.enrol(seed, person_id=f"p{seed}")
    service.client.patch("/v1/persons/p0", json={"name": "changed"}).raise_for_status()
    with listening(service, headers={"Last-Event-ID": "2"}) as events:
        assert [next(events)[1] for _ in range(2)] == ["3", "4"]
        service.enrol(9)
        assert next(events)[1] == "6"
    with listening(service, after=0, events=["unknown_person_seen"]) as events:
        assert next(events)[:2] == ("unknown_person_seen", "6")
    for wrong in ({"headers": {"Last-Event-ID": "x"}}, {"params": {"events": "all"}}, {"params": {"after": -1}}):
        assert service.client.get("/v1/events", **wrong).status_code == 422


def test_a_limited_key_hears_of_its_own_cameras_only(service):
    key = service.key("read", cameras=NORTH)
    service.enrol(1, person_id="ada", camera_id="south")
    service.enrol(2, person_id="bob")
    with listening(service, headers=key, after=0) as events:
        service.enrol(3, camera_id="south")
        own = service.enrol(4, camera_id="north")["sightings"][0]["sighting_id"]
        assert next(events)[2]["sighting"]["sighting_id"] == own


def test_who_was_erased_is_in_no_event(service):
    service.enrol(1, person_id="ada")
    service.enrol(2, person_id="bob")
    service.client.delete("/v1/persons/ada").raise_for_status()
    with listening(service, after=0) as events:
        assert next(events)[2]["sighting"]["person_id"] == "bob"


def test_a_revoked_key_hears_no_more(service):
    key = service.key("read")
    with listening(service, headers=key) as events:
        service.enrol(1, person_id="ada")
        next(events)
        with open_keys(service.core.settings.store_address) as connection:
            revoke_key(connection, key["X-API-Key"].split("_")[1])
        service.enrol(2, person_id="bob")
        assert list(events) == []


def test_more_changes_than_are_read_at_once_come_in_order(service, monkeypatch):
    monkeypatch.setattr("service.gallery.sqlite.arrivals._AT_ONCE", 4)
    for seed in range(0, 9, 3):
        service.enrol(seed, seed + 1, seed + 2, person_id=f"p{seed}")
    with listening(service, after=0) as events:
        assert [next(events)[2]["sighting"]["person_id"] for _ in range(9)] == ["p0"] * 3 + ["p3"] * 3 + ["p6"] * 3


def test_nobody_listens_without_a_key(service):
    service.client.headers.pop("X-API-Key")
    assert service.client.get("/v1/events").status_code == 401


def test_too_many_listeners_are_refused(service, monkeypatch):
    monkeypatch.setattr("service.routes.events.MOST_LISTENERS", 1)
    with listening(service) as events:
        service.enrol(1)
        next(events)
        answer = service.client.get("/v1/events")
        assert (answer.status_code, answer.json()["code"]) == (503, "queue_full")
