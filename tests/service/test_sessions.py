"""Sessions, rates, and what every answer says to a browser."""

import pytest

from service.gallery.sqlite.keys import open_keys, revoke_key
from service.keys import SCOPES
from service.limits import RateLimit
from service.middleware import SafeAnswers
from service.problems import RateLimitedError
from service.sessions import COOKIE
from service.settings import Settings
from tests.service.conftest import serving


@pytest.fixture
def signed_in(service):
    """A service, and a client that holds nothing but a session."""
    answer = service.client.post("/v1/session")
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"].lower()
    assert all(part in cookie for part in (f"{COOKIE}=", "httponly", "samesite=strict", "path=/", "max-age=43200"))
    service.all_scopes = service.client.headers.pop("X-API-Key")
    return service


def test_a_page_can_ask_who_is_signed_in(signed_in):
    said = signed_in.get("/v1/session")
    assert said["scopes"] == sorted(SCOPES)
    assert said["cameras"] is None
    assert said["expires_at"] is not None
    assert signed_in.get("/v1/session", headers=signed_in.key("read"))["expires_at"] is None


def own(service) -> dict[str, str]:
    return {"Origin": str(service.client.base_url).rstrip("/")}


def test_a_session_stands_for_its_key(signed_in):
    assert signed_in.get("/v1/persons")["persons"] == []
    signed_in.enrol(1, person_id="ada", headers=own(signed_in))
    assert signed_in.client.post("/v1/session", headers={"X-API-Key": "reid_none_none"}).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_another_page_changes_nothing_with_it(signed_in, headers):
    for method, path in (("POST", "/v1/persons"), ("DELETE", "/v1/persons/ada"), ("DELETE", "/v1/session")):
        answer = signed_in.client.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "untrusted_origin")
    assert signed_in.client.get("/v1/persons", headers=headers).status_code == 200


def test_a_session_ends_with_a_sign_out_its_key_or_its_time(signed_in, monkeypatch):
    cookie = signed_in.client.cookies[COOKIE]
    key = {"X-API-Key": signed_in.all_scopes}
    fetched = {"Sec-Fetch-Site": "same-origin"}
    assert signed_in.client.delete("/v1/session", headers=fetched).status_code == 204
    assert COOKIE not in signed_in.client.cookies
    assert signed_in.client.get("/v1/persons", headers={"Cookie": f"{COOKIE}={cookie}"}).status_code == 401
    monkeypatch.setattr("service.sessions.LASTS_S", 0)
    expired = signed_in.client.post("/v1/session", headers=key)
    value = expired.headers["set-cookie"].split("=")[1].split(";")[0]
    assert signed_in.client.get("/v1/persons", headers={"Cookie": f"{COOKIE}={value}"}).status_code == 401
    monkeypatch.setattr("service.sessions.LASTS_S", 60)
    signed_in.client.post("/v1/session", headers=key).raise_for_status()
    assert signed_in.client.get("/v1/persons").status_code == 200
    with open_keys(signed_in.core.settings.store_address) as connection:
        revoke_key(connection, signed_in.all_scopes.split("_")[1])
    assert signed_in.client.get("/v1/persons").status_code == 401


def test_only_the_hash_of_a_session_is_kept(signed_in):
    secret = signed_in.client.cookies[COOKIE].encode()
    files = [path for path in signed_in.core.settings.home.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if secret in path.read_bytes()]


def test_elsewhere_than_on_this_machine_the_cookie_travels_encrypted_only(service):
    assert "secure" not in service.client.post("/v1/session").headers["set-cookie"].lower()
    answer = service.client.post("/v1/session", headers={"Host": "reid.example"})
    assert "secure" in answer.headers["set-cookie"].lower()


def test_without_keys_there_is_nothing_to_sign_in_to(open_service):
    answer = open_service.client.post("/v1/session")
    assert (answer.json()["key_id"], answer.json()["expires_at"]) == ("local", None)
    assert "set-cookie" not in answer.headers


def test_a_key_that_asks_too_often_is_told_when_to_come_back(tmp_path, embedder):
    with serving(Settings(home=tmp_path / "home", requests_per_minute=5), embedder) as service:
        answers = [service.client.get("/v1/persons") for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        assert answers[-1].json()["code"] == "rate_limited"
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 12
        assert service.client.get("/v1/persons", headers=service.key("read")).status_code == 200
        assert service.client.get("/livez").status_code == 200


def test_a_bucket_fills_up_again_and_never_over():
    now = 0.0
    limit = RateLimit(60, clock=lambda: now)

    def let_through(count: int) -> bool:
        """Exactly so many."""
        for _ in range(count):
            limit.take("a")
        with pytest.raises(RateLimitedError) as refusal:
            limit.take("a")
        return refusal.value.retry_after_s == 1

    assert let_through(60)
    now = 2.5
    assert let_through(2)
    now = 1e6
    assert let_through(60)


def test_every_answer_keeps_browsers_in_their_place(shared_service):
    for method, path in (("GET", "/v1/persons"), ("GET", "/livez"), ("GET", "/nothing"), ("POST", "/v1/search")):
        answer = shared_service.client.request(method, path)
        assert {name: answer.headers[name] for name in SafeAnswers.HEADERS} == SafeAnswers.HEADERS
    assert "style-src" in shared_service.client.get("/docs").headers["content-security-policy"]


def test_no_other_origin_is_given_leave(shared_service):
    preflight = {"Origin": "https://other.example", "Access-Control-Request-Method": "POST"}
    for answer in (
        shared_service.client.options("/v1/persons", headers=preflight),
        shared_service.client.get("/v1/persons", headers={"Origin": "https://other.example"}),
    ):
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
