"""Scope × route × camera: every route of the description has a rule, and the rule holds."""

import itertools

import pytest

from service.auth import RULES
from service.gallery.sqlite.keys import open_keys, revoke_key
from service.keys import LIMITED_SCOPES, SCOPES, new_key

PUBLIC = {("GET", "/livez"), ("GET", "/readyz")}
NORTH = frozenset(["north"])


def described(service) -> set[tuple[str, str]]:
    paths = service.get("/openapi.json")["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


def test_every_route_has_a_rule_and_every_rule_a_route(service):
    assert described(service) == RULES.keys() | PUBLIC


def request(service, method, path, headers, sighting_id="none", person_id="nobody"):
    path = path.replace("{sighting_id}", sighting_id).replace("{person_id}", person_id)
    return service.client.request(method, path, headers=headers)


def test_every_route_refuses_without_a_key_in_force(service):
    kept, text = new_key("", frozenset(["read"]), None)
    bad = [None, "", "reid_", "nonsense", text, f"reid_{kept.key_id}_", service.client.headers["X-API-Key"][:-1], "ü"]
    service.client.headers.pop("X-API-Key")
    anywhere = [((method, path), None) for method, path in RULES]
    for (method, path), key in [*anywhere, *((("GET", "/v1/persons"), key) for key in bad)]:
        headers = {} if key is None else {"X-API-Key": key.encode()}
        answer = request(service, method, path, headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), (method, path, key)
        assert answer.headers["WWW-Authenticate"] == 'ApiKey header="X-API-Key"'


def test_a_revoked_key_is_refused_at_once(service):
    key = service.key("read")
    assert service.client.get("/v1/persons", headers=key).status_code == 200
    with open_keys(service.core.settings.store_path) as connection:
        revoke_key(connection, key["X-API-Key"].split("_")[1])
    assert service.client.get("/v1/persons", headers=key).status_code == 401


def test_every_scope_opens_its_routes_and_no_others(service):
    keys = {(scope, None): service.key(scope) for scope in SCOPES}
    keys |= {(scope, NORTH): service.key(scope, cameras=NORTH) for scope in LIMITED_SCOPES}
    for ((method, path), rule), ((scope, cameras), key) in itertools.product(RULES.items(), keys.items()):
        allowed = scope == rule.scope and (cameras is None or rule.limited)
        answer = request(service, method, path, key)
        assert (answer.status_code != 403) == allowed, (method, path, scope, cameras, answer.text)
        assert answer.status_code != 401


def test_a_key_limited_to_cameras_can_neither_erase_nor_administer():
    for scope in ("erase", "admin"):
        with pytest.raises(ValueError, match=r"limited to cameras \(read, enrol\)"):
            new_key("", frozenset([scope]), NORTH)


@pytest.fixture
def two_cameras(service):
    """Ada was seen by north and south, Bob by south, and someone unknown by a camera that was not named."""
    north = service.enrol(1, person_id="ada", camera_id="north", tracklet_id="tn")["sightings"][0]
    south = service.enrol(2, person_id="ada", camera_id="south", tracklet_id="ts")["sightings"][0]
    service.enrol(3, person_id="bob", camera_id="south")
    service.enrol(4)
    return north["sighting_id"], south["sighting_id"]


def test_no_road_leads_a_limited_key_to_another_camera(service, two_cameras):
    north, south = two_cameras
    key = service.key("read", "enrol", cameras=NORTH)
    assert [s["sighting_id"] for s in service.get("/v1/sightings", headers=key)["sightings"]] == [north]
    assert [p["person_id"] for p in service.get("/v1/persons", headers=key)["persons"]] == ["ada"]
    assert service.get("/v1/persons/ada", headers=key)["sightings"] == 1
    assert service.get("/v1/models", headers=key)["models"][0]["sightings"] == 1
    hidden = [f"/v1/sightings/{south}{part}" for part in ("", "/image", "/thumbnail")]
    for path in [*hidden, "/v1/persons/bob"]:
        service.get(path, expect=404, headers=key)
    moved = service.client.patch(f"/v1/sightings/{south}", json={"person_id": "mine"}, headers=key)
    assert moved.status_code == 404
    for query in ({"sighting_id": south}, {"person_id": "bob"}, {"tracklet_id": "ts"}):
        service.search(expect=404, headers=key, queries=[query])
    vector = [1.0] + [0.0] * 31
    for wanted in ({}, {"cameras": ["south"]}, {"not_cameras": ["north"]}, {"persons": ["bob"]}):
        (result,) = service.search(headers=key, queries=[{"vector": vector}], filter=wanted)["results"]
        assert {match["camera_id"] for match in result["matches"]} <= {"north"}
        assert result["searched"] == (1 if wanted == {} else 0)
    for fields in ({"camera_id": "south"}, {}):
        assert service.enrol(5, expect=403, headers=key, **fields)["code"] == "forbidden"
    assert (
        service.get("/v1/sightings/nothing", expect=404, headers=key)["detail"].replace("nothing", south)
        == (service.get(f"/v1/sightings/{south}", expect=404, headers=key)["detail"])
    )


def test_naming_a_person_teaches_a_limited_key_nothing_about_them(service):
    """Whoever may enrol can enrol anything as anybody: that must not be a way to their record."""
    bob = {"person_id": "bob", "name": "Robert", "tags": ["vip"], "metadata": {"badge": 7}}
    service.client.post("/v1/persons", json=bob).raise_for_status()
    service.enrol(1, person_id="bob", camera_id="south")
    key = service.key("read", "enrol", cameras=NORTH)
    own = service.enrol(2, headers=key, camera_id="north", person_id="bob", tags="mine")["sightings"][0]["sighting_id"]
    other = service.enrol(3, headers=key, camera_id="north")["sightings"][0]["sighting_id"]
    service.client.patch(f"/v1/sightings/{other}", json={"person_id": "bob"}, headers=key).raise_for_status()
    known = {"person_id": "bob", "name": None, "tags": [], "metadata": {}, "sightings": 2}
    known |= {"created_at": None, "updated_at": None}
    answer = service.get("/v1/persons/bob", headers=key)
    assert answer.pop("change") == 5
    assert answer == known
    assert service.get("/v1/persons", headers=key)["persons"] == [known]
    assert service.get("/v1/persons", headers=key, tag="vip")["persons"] == []
    assert service.get("/v1/sightings", headers=key, tag="vip")["sightings"] == []
    assert [s["sighting_id"] for s in service.get("/v1/sightings", headers=key, tag="mine")["sightings"]] == [own]
    query = {"queries": [{"vector": [1.0] + [0.0] * 31}]}
    assert service.search(headers=key, **query, filter={"tags": ["vip"]})["results"][0]["searched"] == 0
    assert service.get("/v1/persons/bob")["name"] == "Robert"


def test_a_person_query_of_a_limited_key_is_made_of_its_own_cameras(service, two_cameras):
    key = service.key("read", "enrol", cameras=NORTH)
    service.enrol(9, headers=key, camera_id="north", person_id="cy")
    (result,) = service.search(headers=key, queries=[{"person_id": "ada"}])["results"]
    assert [match["person_id"] for match in result["matches"]] == ["cy"]


ATTACKS = {
    "another host": {"Host": "attacker.example"},
    "a host that only begins well": {"Host": "127.0.0.1.attacker.example"},
    "an address of the network": {"Host": "192.168.0.2:8000"},
    "brackets that hold nothing": {"Host": "[::1"},
    "another page": {"Origin": "https://attacker.example"},
    "a page without a name": {"Origin": "null"},
    "a page on another port": {"Origin": "http://127.0.0.1:1"},
    "a proxy": {"X-Forwarded-For": "127.0.0.1"},
    "a proxy that says which host": {"X-Forwarded-Host": "localhost"},
    "a proxy of the standard": {"Forwarded": "for=127.0.0.1"},
}


@pytest.mark.parametrize("headers", ATTACKS.values(), ids=ATTACKS)
def test_without_keys_only_this_machine_may_ask(open_service, headers):
    for path in ("/v1/persons", "/readyz", "/docs"):
        answer = open_service.client.get(path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "untrusted_origin")


def test_without_keys_this_machine_may_ask_and_do_everything(open_service):
    open_service.enrol(1, person_id="ada")
    base = str(open_service.client.base_url).rstrip("/")
    port = open_service.client.base_url.port
    for headers in ({}, {"Origin": base}, {"Host": f"localhost:{port}"}, {"Host": f"[::1]:{port}"}):
        assert open_service.client.get("/v1/audit", headers=headers).status_code == 200
    assert open_service.client.delete("/v1/persons/ada").status_code == 200
