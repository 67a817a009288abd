"""Two services as they are run, over one Redis: keys, writes, sessions and erasures of either are those of both."""

from contextlib import ExitStack
from pathlib import Path

import httpx

from service.child import free_port, running_service
from service.gallery.redis.address import RedisAddress
from service.gallery.sqlite.keys import add_key, revoke_key
from service.gallery.stores import open_keys
from service.keys import SCOPES, new_key
from tests.redis_server import running_redis
from tests.service.conftest import crop
from tests.service.gallery.conftest import wait_until


def test_two_services_over_one_redis(tmp_path: Path, tiny_bundle: Path):
    with running_redis(tmp_path / "redis") as server, ExitStack() as running:
        store = f"redis://127.0.0.1:{server.port}?gallery=yard"
        settings = {"REID_BUNDLE": str(tiny_bundle), "REID_DEVICE": "cpu", "REID_STORE": store}
        key, text = new_key("", frozenset(SCOPES), None)
        with open_keys(RedisAddress.parse(store)) as connection:
            add_key(connection, key)
        one, other = (
            running.enter_context(
                running_service(tmp_path / name, tmp_path / f"{name}.log", port=free_port(0), settings=settings)
            )
            for name in ("one", "other")
        )
        for service in (one, other):
            assert service.client.get("/readyz").json()["durability"] == "a power cut"
            service.client.headers["X-API-Key"] = text

        enrolled = enrol(one.client, "ursula", "key-1")
        (match,) = search(other.client, min_change=enrolled["change"])
        assert match["sighting_id"] == enrolled["sightings"][0]["sighting_id"]
        again = enrol(other.client, "ursula", "key-1")  # asked again, of the other
        assert again == enrolled

        cookie = one.client.post("/v1/session").cookies
        with httpx.Client(base_url=other.url, cookies=dict(cookie), trust_env=False) as browser:
            wait_until(lambda: browser.get("/v1/session").is_success)

        job = one.client.post("/v1/export").json()
        for service in (one, other):
            wait_until(lambda service=service: '"done"' in service.client.get(f"/v1/jobs/{job['job_id']}").text)

        one.process.kill()
        one.process.wait()
        receipt = other.client.delete("/v1/persons/ursula").json()
        receipt_id = receipt["receipt"]["receipt_id"]
        # The one that was killed may answer nothing after its lease: until then the erasure is not complete.
        wait_until(lambda: other.client.delete("/v1/persons/ursula").json()["receipt"].get("completed_at"))
        assert other.client.delete("/v1/persons/ursula").json()["receipt"]["receipt_id"] == receipt_id
        files = b"".join(path.read_bytes() for path in server.folder.rglob("*") if path.is_file())
        assert b"ursula" not in files

        with open_keys(RedisAddress.parse(store)) as connection:
            revoke_key(connection, key.key_id)
        wait_until(lambda: other.client.get("/v1/persons").status_code == 401)

        server.client.flushall()
        wait_until(lambda: other.client.get("/readyz").status_code == 503)
        refused = other.client.get("/v1/persons")  # with a key that nobody can look up
        assert refused.status_code == 503
        assert "flushed" in refused.json()["detail"]


def enrol(client: httpx.Client, person_id: str, idempotency_key: str) -> dict:
    answer = client.post(
        "/v1/sightings",
        files=[("file", ("a.png", crop(1)))],
        data={"person_id": person_id},
        headers={"Idempotency-Key": idempotency_key},
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def search(client: httpx.Client, min_change: int) -> list[dict]:
    files = [("file", ("a.png", crop(1)))]
    answer = client.post("/v1/search", files=files, params={"min_change": min_change})
    assert answer.status_code == 200, answer.text
    return answer.json()["results"][0]["matches"]
