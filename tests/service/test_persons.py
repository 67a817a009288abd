"""The routes of people."""

from urllib.parse import quote

import pytest

from service import cursors
from service.gallery.errors import CursorError


def test_a_person_is_added_changed_listed_and_erased(service):
    person = {"person_id": "ada", "name": "Ada", "tags": ["staff"], "metadata": {"desk": 4}}
    added = service.client.post("/v1/persons", json=person)
    assert added.status_code == 201
    assert {name: added.json()[name] for name in person} == person
    assert added.json()["change"] == 1
    changed = service.client.patch("/v1/persons/ada", json={"name": None}).json()
    assert (changed["name"], changed["tags"], changed["change"]) == (None, ["staff"], 2)
    service.enrol(1, 2, person_id="ada")
    assert service.get("/v1/persons/ada", min_change=3)["sightings"] == 2
    assert len(service.get("/v1/persons", tag="staff")["persons"]) == 1
    assert service.get("/v1/persons", tag="guest")["persons"] == []
    receipt = service.client.delete("/v1/persons/ada").json()
    assert (receipt["receipt"]["sightings"], receipt["receipt"]["images"], receipt["change"]) == (2, 2, 4)
    service.get("/v1/persons/ada", expect=404)
    assert service.client.delete("/v1/persons/ada").status_code == 404
    assert service.client.patch("/v1/persons/ada", json={}).status_code == 404


def test_a_taken_id_is_a_conflict_and_the_same_request_is_not(service):
    key = {"Idempotency-Key": "1"}
    first = service.client.post("/v1/persons", json={"person_id": "ada"}, headers=key)
    assert service.client.post("/v1/persons", json={"person_id": "ada"}, headers=key).json() == first.json()
    assert service.client.post("/v1/persons", json={"person_id": "ada"}).json()["code"] == "conflict"
    assert service.get("/readyz")["change"] == 1


def test_names_from_all_the_world_travel_whole(service):
    for person_id in ("李雷", "Zoë – 2", "a?b#c%d", "👩🏽‍🚒"):
        assert service.client.post("/v1/persons", json={"person_id": person_id}).status_code in (201, 422)
    listed = [person["person_id"] for person in service.get("/v1/persons")["persons"]]
    assert {"李雷", "Zoë – 2", "a?b#c%d"} <= set(listed)
    for person_id in listed:
        answer = service.client.get("/v1/persons/" + quote(person_id, safe=""))
        assert answer.json()["person_id"] == person_id


@pytest.mark.parametrize(
    "cursor", ["x", "", "cGVyc29uczotMQ==", "cGVyc29uczowMQ==", "é", cursors.encode("sightings", 1)]
)
def test_a_cursor_of_somebody_else_is_refused(shared_service, cursor):
    assert shared_service.get("/v1/persons", expect=422, cursor=cursor)["code"] == "cursor"
    with pytest.raises(CursorError):
        cursors.decode("persons", cursor)
