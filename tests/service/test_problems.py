"""Errors: all of them problems, each with the request's id, none with half a write behind it."""

import json
import socket

import pytest

from reid import errors as reid_errors
from reid.errors import ReidError
from service.gallery import errors as gallery_errors
from service.problems import problem_of
from tests.service.conftest import DEADLINE_S, wait_until

PROBLEM = {"type", "title", "status", "detail", "instance", "code", "request_id", "errors"}
JSON = {"Content-Type": "application/json"}
NOT_OF_REQUESTS = {
    *("BundleError", "WeightsError", "DatasetError", "RecipeError", "CheckpointError", "ReidError", "HomeError"),
    *("DetectorError", "SourceError"),
}


@pytest.mark.parametrize(
    ("method", "path", "content", "headers", "status", "code"),
    [
        ("GET", "/nothing", None, {}, 404, "not_found"),
        ("PUT", "/v1/persons", None, {}, 405, "method_not_allowed"),
        ("POST", "/v1/persons", b"{", JSON, 400, "unreadable_body"),
        ("POST", "/v1/persons", b"\xff", JSON, 400, "unreadable_body"),
        ("POST", "/v1/persons", b"[" * 100_000, JSON, 400, "unreadable_body"),
        ("POST", "/v1/persons", b"{}", JSON, 422, "invalid"),
        ("POST", "/v1/persons", b'{"person_id": "a", "\\ud800": 1}', JSON, 422, "invalid"),
        ("POST", "/v1/persons", b'{"person_id": "a"}', {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        ("POST", "/v1/persons", b'{"person_id": "a"}', {}, 415, "unsupported_media_type"),
        ("POST", "/v1/search", b"{", JSON, 400, "unreadable_body"),
        ("POST", "/v1/search", b"[" * 100_000, JSON, 400, "unreadable_body"),
        ("POST", "/v1/search", b"{}", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        ("POST", "/v1/search", b"{}", {}, 415, "unsupported_media_type"),
        ("POST", "/v1/search", b"x", {"Content-Type": "multipart/form-data"}, 400, "unreadable_body"),
        ("POST", "/v1/search", b"x", {"Content-Type": "multipart/form-data; boundary=b"}, 400, "unreadable_body"),
        ("POST", "/v1/search", b"--b--", {"Content-Type": "multipart/form-data; boundary=b"}, 422, "invalid"),
        ("GET", "/v1/persons?limit=0", None, {}, 422, "invalid"),
        ("GET", "/v1/persons?colour=red", None, {}, 422, "invalid"),
        ("GET", "/v1/persons?min_change=99999999999999999999", None, {}, 422, "invalid"),
        ("GET", "/v1/persons?min_change=7", None, {}, 503, "change_not_reached"),
        ("GET", "/v1/persons/nobody", None, {}, 404, "not_found"),
        ("GET", "/v1/sightings?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", None, {}, 422, "filter"),
    ],
)
def test_every_refusal_is_a_problem(shared_service, method, path, content, headers, status, code):
    answer = shared_service.client.request(method, path, content=content, headers={**headers, "X-Request-Id": "mine-1"})
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code), answer.text
    assert problem.keys() == PROBLEM
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["X-Request-Id"] == problem["request_id"] == "mine-1"
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert shared_service.core.gallery.change == 1


def test_an_id_that_could_break_a_log_is_replaced(shared_service):
    for given in ("a b", "x" * 200, "{}"):
        assert shared_service.client.get("/livez", headers={"X-Request-Id": given}).headers["X-Request-Id"] != given


@pytest.mark.parametrize(
    ("headers", "status"),
    [(b"Content-Length: 100000", 401), (b"Content-Length: 9999999999", 413), (b"X-API-Key: no\r\nExpect: x", 401)],
)
def test_a_request_is_refused_before_its_body_is_read(shared_service, headers, status):
    """Nothing follows the headers, and the answer comes all the same."""
    url = shared_service.client.base_url
    with socket.create_connection((url.host, url.port), timeout=DEADLINE_S) as connection:
        connection.sendall(b"POST /v1/sightings HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("path", ["/v1/search", "/v1/persons", "/v1/sightings"])
def test_a_streamed_body_is_counted(shared_service, path):
    def stream():
        for _ in range(40):
            yield b" " * 65_536

    answer = shared_service.client.post(path, content=stream(), headers={**JSON, "Connection": "close"})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_an_announced_body_is_refused(shared_service):
    answer = shared_service.client.post(
        "/v1/search", content=b" " * (shared_service.core.settings.max_body_bytes + 1), headers=JSON
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_every_error_of_a_request_is_in_the_table():
    kinds = [kind for module in (reid_errors, gallery_errors) for kind in vars(module).values()]
    errors = {kind for kind in kinds if isinstance(kind, type) and issubclass(kind, ReidError)}
    missing = {kind.__name__ for kind in errors if problem_of(kind("")).status == 500}
    assert missing == NOT_OF_REQUESTS


def test_a_bug_of_ours_is_a_problem_too_and_tells_nothing(shared_service, monkeypatch):
    def broken(*_):
        raise RuntimeError("secret")

    monkeypatch.setattr(type(shared_service.core.gallery), "probe", broken)
    answer = shared_service.client.get("/readyz", headers={"Connection": "close"})  # the server closes after a bug
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text


def test_the_log_names_routes_not_people(shared_service, caplog):
    def said() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == "service.access"]

    with caplog.at_level("INFO", logger="service.access"):
        shared_service.client.get("/v1/persons/Ada%20Lovelace")
        shared_service.client.get("/Ada")
        wait_until(lambda: len(said()) == 2)  # the line is written after the answer
    assert said()[0].startswith("GET /v1/persons/{person_id} 404")
    assert "Ada" not in "".join(said())


def test_the_description_is_complete(shared_service):
    description = shared_service.get("/openapi.json")
    text = json.dumps(description)
    names = set(description["components"]["schemas"])
    used = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert used <= names
    assert "$defs" not in text
    for methods in description["paths"].values():
        for operation in methods.values():
            assert operation["description"]
            assert "4XX" in operation["responses"]
