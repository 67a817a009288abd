"""The routes of people."""

import base64
from urllib.parse import quote

from service.cursors import Cursors


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
    assert service.get("/v1/persons")["change"] == 1


def test_names_from_all_the_world_travel_whole(service):
    names = ["李雷", "Zoë – 2", "a?b#c%d", "👩🏽"]
    for person_id in names:
        assert service.client.post("/v1/persons", json={"person_id": person_id}).status_code == 201
    joined = "👩🏽\u200d🚒"  # held together by a character that cannot be seen: two such ids could look the same
    assert service.client.post("/v1/persons", json={"person_id": joined}).status_code == 422
    assert [person["person_id"] for person in service.get("/v1/persons")["persons"]] == names
    for person_id in names:
        answer = service.client.get("/v1/persons/" + quote(person_id, safe=""))
        assert answer.json()["person_id"] == person_id


def test_a_cursor_of_somebody_else_is_refused(shared_service):
    sealed = Cursors(shared_service.core.gallery.seal_key)
    ours = sealed.encode("persons", 1)
    changed = ("A" if ours[0] != "A" else "B") + ours[1:]
    others = [sealed.encode("sightings", 1), Cursors(bytes(32)).encode("persons", 1), changed, ours[:-4]]
    for cursor in ["x", "", "cGVyc29uczox", "é", *others]:
        assert shared_service.get("/v1/persons", expect=422, cursor=cursor)["code"] == "cursor"
    shared_service.get("/v1/persons", cursor=ours)


def test_a_cursor_tells_nothing(shared_service):
    sealed = Cursors(shared_service.core.gallery.seal_key)
    assert sealed.encode("persons", 7) != sealed.encode("persons", 7)
    assert (7).to_bytes(8) not in base64.urlsafe_b64decode(sealed.encode("persons", 7))


def test_two_identities_become_one_and_one_becomes_two(service):
    ada = service.enrol(1, 2, person_id="ada")["sightings"]
    service.enrol(3, person_id="Ada L")
    merged = service.client.post("/v1/persons/ada/merge", json={"other_id": "Ada L"})
    assert (merged.status_code, merged.json()["sightings"], merged.json()["change"]) == (200, 3, 3)
    service.get("/v1/persons/Ada L", expect=404)
    body = {"sighting_ids": [ada[0]["sighting_id"]], "into": "bob"}
    headers = {"Idempotency-Key": "split"}
    split, again = (service.client.post("/v1/persons/ada/split", json=body, headers=headers) for _ in range(2))
    assert split.json() == again.json()
    assert (split.json()["person_id"], split.json()["sightings"]) == ("bob", 1)
    assert service.get("/v1/persons/ada")["sightings"] == 2
    made_up = service.client.post("/v1/persons/ada/split", json={"sighting_ids": [ada[1]["sighting_id"]]}).json()
    assert made_up["person_id"] not in ("ada", "bob")


def test_what_cannot_be_merged_or_split_is_refused(service):
    one = service.enrol(1, person_id="ada")["sightings"][0]["sighting_id"]
    refusals = [
        ("merge", {"other_id": "nobody"}, 404),
        ("merge", {"other_id": "ada"}, 409),
        ("merge", {}, 422),
        ("split", {"sighting_ids": []}, 422),
        ("split", {"sighting_ids": ["nothing"]}, 404),
        ("split", {"sighting_ids": [one], "into": "ada"}, 409),
    ]
    for action, body, status in refusals:
        answer = service.client.post(f"/v1/persons/ada/{action}", json=body)
        assert answer.status_code == status, (action, body, answer.text)
    assert service.get("/v1/persons/ada")["sightings"] == 1
