"""Scope × route × camera: every route of the description has a rule, and the rule holds."""

import base64
import io
import itertools
import re
import socket

import pytest

from service.auth import RULES
from service.gallery.sqlite.keys import open_keys, revoke_key
from service.gallery.transfer import export_gallery
from service.keys import LIMITED_SCOPES, SCOPES, new_key
from tests.clips.corpus import clip
from tests.service.conftest import DEADLINE_S, crop
from tests.service.gallery.conftest import EVERYONE

PUBLIC = {("GET", "/livez"), ("GET", "/readyz")}
NORTH = frozenset(["north"])
CLIP = {"files": {"file": clip()}, "data": {"bundle": "doings"}}  # no JSON: a multipart body


def described(service) -> set[tuple[str, str]]:
    paths = service.get("/openapi.json")["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


def test_every_route_has_a_rule_and_every_rule_a_route(service):
    assert described(service) == RULES.keys() | PUBLIC


def request(service, method, path, headers):
    """The answer, read to its end unless it has none."""
    with service.client.stream(method, re.sub(r"{\w+}", "nothing", path), headers=headers) as answer:
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            answer.read()
        return answer


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
    with open_keys(service.core.settings.store_address) as connection:
        revoke_key(connection, key["X-API-Key"].split("_")[1])
    assert service.client.get("/v1/persons", headers=key).status_code == 401


@pytest.fixture
def world(service, glasses, doings) -> dict[str, str]:
    """Something behind every parameter of a path: what `{person_id}` and the like stand for."""
    sighting_id = service.enrol(1, person_id="ada", camera_id="north")["sightings"][0]["sighting_id"]
    service.enrol(2, person_id="ada", camera_id="north")
    service.enrol(3, person_id="bob", camera_id="north")
    return {
        "person_id": "ada",
        "sighting_id": sighting_id,
        "job_id": service.client.post("/v1/evaluations", json={}).json()["job_id"],
        "webhook_id": "none",
        "name": "glasses",
    }


def valid_bodies(service, world) -> dict[tuple[str, str], dict]:
    """A JSON body that each route takes: its own example from the description, or one of this world."""
    paths = service.get("/openapi.json")["paths"]
    bodies = {}
    for path, methods in paths.items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is not None:
                bodies[method.upper(), path] = content["example"]
    image = base64.b64encode(crop(7)).decode()
    return bodies | {
        ("POST", "/v1/sightings"): {"images": [image], "camera_id": "north"},
        ("POST", "/v1/search"): {"queries": [{"sighting_id": world["sighting_id"]}]},
        ("POST", "/v1/embeddings"): {"images": [image]},
        ("POST", "/v1/detections"): {"images": [image]},
        ("POST", "/v1/classifiers/{name}"): {"images": [image]},
        ("POST", "/v1/persons/{person_id}/merge"): {"other_id": "bob"},
        ("POST", "/v1/persons/{person_id}/split"): {"sighting_ids": [world["sighting_id"]], "into": "cy"},
        ("POST", "/v1/import"): exported(service),
        ("POST", "/v1/models/activate"): {"bundle_id": service.core.model.bundle_id},
        ("PUT", "/v1/calibration"): {"calibration": service.core.model.calibrations.current.table.to_json()},
        ("POST", "/v1/webhooks"): {"url": "https://127.0.0.1/seen"},  # refused, but as an address
    }


def exported(service) -> bytes:
    """The archive of this world."""
    file = io.BytesIO()
    export_gallery(service.core.gallery, EVERYONE, file)
    return file.getvalue()


def ask(service, method, path, body, key):
    """The answer, read to its end unless it has none. A body of bytes is an archive."""
    sent = {"content": body} if isinstance(body, bytes) else {"json": body}
    if path == "/v1/actions":
        sent = CLIP
    headers = key | ({"Content-Type": "application/zstd"} if isinstance(body, bytes) else {})
    with service.client.stream(method, path, headers=headers, **sent) as answer:
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            answer.read()
        return answer


def test_every_scope_opens_its_routes_and_no_others(service, world):
    """Every route is asked for something that is there, with a body that it takes: first by those it must refuse."""
    keys = {(scope, None): service.key(scope) for scope in SCOPES}
    keys |= {(scope, NORTH): service.key(scope, cameras=NORTH) for scope in LIMITED_SCOPES}
    bodies = valid_bodies(service, world)
    may, may_not = [], []
    for ((method, path), rule), ((scope, cameras), key) in itertools.product(RULES.items(), keys.items()):
        allowed = rule.scope in (None, scope) and (cameras is None or rule.limited)
        (may if allowed else may_not).append((method, path, scope, cameras, key))
    before = service.core.gallery.change
    for method, path, scope, cameras, key in may_not:
        answer = ask(service, method, path.format(**world), bodies.get((method, path)), key)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (method, path, scope, cameras)
    assert service.core.gallery.change == before
    for method, path, scope, _, key in sorted(may, key=lambda one: one[0] == "DELETE"):
        answer = ask(service, method, path.format(**world), bodies.get((method, path)), key)
        gone = (404, 409)  # by what was asked before it, or because this key does not see it
        refused_address = path == "/v1/webhooks" and answer.status_code == 422
        no_detector = path == "/v1/detections" and answer.json()["code"] == "no_detector"
        assert answer.is_success or answer.status_code in gone or refused_address or no_detector, (
            method,
            path,
            scope,
            answer.text,
        )


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
    known["last_seen"] = answer["last_seen"]
    assert (answer["last_seen"]["sighting_id"], answer["last_seen"]["camera_id"]) == (other, "north")
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


def test_nothing_that_a_limited_key_can_read_says_a_word_of_another_camera(service):
    """Every route that reads, by generation from the rules: a new one is asked as well."""
    secret = {"person_id": "secret-person", "camera_id": "secret-camera", "tracklet_id": "secret-tracklet"}
    hidden = service.enrol(1, 2, **secret, tags="secret-tag", metadata='{"note": "secret-note"}')["sightings"]
    service.client.post("/v1/persons", json={"person_id": "secret-other", "name": "secret-name"}).raise_for_status()
    shown = service.enrol(3, person_id="ada", camera_id="north")["sightings"][0]["sighting_id"]
    service.client.patch("/v1/persons/ada", json={"name": "secret-ada", "tags": ["secret-tag"]}).raise_for_status()
    job_id = service.client.post("/v1/evaluations", json={"domain": "secret-domain"}).json()["job_id"]
    words = ["secret", job_id, *(one[name] for one in hidden for name in ("sighting_id", "image_sha256"))]
    stand_for = {
        "person_id": ["ada", "secret-person", "secret-other"],
        "sighting_id": [shown, *(sighting["sighting_id"] for sighting in hidden)],
        "job_id": [job_id],
    }
    key = service.key("read", "enrol", cameras=NORTH)
    asked = 0
    for (method, path), rule in RULES.items():
        if method != "GET" or rule.scope != "read" or not rule.limited:
            continue
        names = re.findall(r"{(\w+)}", path)
        for values in itertools.product(*(stand_for[name] for name in names)):
            full = path.format(**dict(zip(names, values, strict=True)))
            said = text_of(service, full, key)
            for value in values:
                said = said.replace(value, "")  # an answer may repeat what was asked
            assert not [word for word in words if word in said], (full, said)
            asked += 1
    for query in [{"sighting_id": shown}, {"person_id": "ada"}]:
        found = service.search(headers=key, queries=[query], top_k=1000)
        assert not [word for word in words if word in str(found)]
    assert asked > 15


def text_of(service, path: str, key) -> str:
    """All of the answer; of a stream without end, from the beginning to the one event that this key may hear."""
    query = {"after": 0} if path.endswith("/events") else {}
    with service.client.stream("GET", path, params=query, headers=key) as answer:
        if not answer.headers["content-type"].startswith("text/event-stream"):
            return answer.read().decode(errors="replace")
        lines = []
        for line in answer.iter_lines():
            lines.append(line)
            if line.startswith("data:"):
                return "\n".join(lines)
    raise AssertionError("expected an event")


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
    "a proxy that says its own name": {"Via": "1.1 proxy"},
    "a proxy of another kind": {"X-Real-IP": "127.0.0.1"},
    "a host with a password": {"Host": "127.0.0.1@attacker.example"},
    "a host that resolves to here": {"Host": "localhost.attacker.example"},
    "a number that some take for 127.0.0.1": {"Host": "2130706433"},
    "no host": {"Host": ""},
}


@pytest.mark.parametrize("headers", ATTACKS.values(), ids=ATTACKS)
def test_without_keys_only_this_machine_may_ask(open_service, headers):
    for path in ("/v1/persons", "/readyz", "/docs"):
        answer = open_service.client.get(path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "untrusted_origin")
    enrolled = open_service.client.post("/v1/sightings", files={"file": crop(1)}, headers=headers)
    assert (enrolled.status_code, open_service.core.gallery.change) == (403, 0)


def test_two_hosts_and_folded_headers_are_no_way_in(open_service):
    url = open_service.client.base_url
    for head in (f"Host: {url.host}\r\nHost: attacker.example", f"Host: {url.host}\r\n Origin: http://x"):
        with socket.create_connection((url.host, url.port), timeout=DEADLINE_S) as connection:
            connection.sendall(f"GET /v1/persons HTTP/1.1\r\n{head}\r\nConnection: close\r\n\r\n".encode())
            assert connection.recv(4096).split()[1] in (b"400", b"403")


def test_without_keys_this_machine_may_ask_and_do_everything(open_service):
    open_service.enrol(1, person_id="ada")
    base = str(open_service.client.base_url).rstrip("/")
    port = open_service.client.base_url.port
    for headers in ({}, {"Origin": base}, {"Host": f"localhost:{port}"}, {"Host": f"[::1]:{port}"}):
        assert open_service.client.get("/v1/audit", headers=headers).status_code == 200
    assert open_service.client.delete("/v1/persons/ada").status_code == 200
