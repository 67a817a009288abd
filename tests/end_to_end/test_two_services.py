"""Two services as they are run, over one Redis: keys, writes, sessions and erasures of either are those of both."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from service import child
from service.child import free_port, running_service
from tests.redis_server import RedisServer
from tests.service.conftest import crop
from tests.service.gallery.conftest import wait_until

DEADLINE_S = 90
COMMAND = [str(Path(sys.executable).with_name("reid-service"))]
SCOPES = [part for scope in ("read", "enrol", "erase", "admin") for part in ("--scope", scope)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    running = RedisServer(folder)
    yield running
    running.stop()


def test_two_services_over_one_redis(server, tmp_path, tiny_bundle):
    settings = {
        "REID_BUNDLE": str(tiny_bundle),
        "REID_DEVICE": "cpu",
        "REID_STORE": f"redis://127.0.0.1:{server.port}?gallery=yard",
    }

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = child.environment(tmp_path / "one", settings)
        return subprocess.run(
            [*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )

    assert "expected an API key in force" in command("check").stderr
    assert server.client.keys() == []  # a check makes nothing
    key = command("keys", "create", *SCOPES).stdout.strip()
    with ExitStack() as running:
        one, other = (
            running.enter_context(
                running_service(tmp_path / name, tmp_path / f"{name}.log", port=free_port(0), settings=settings)
            )
            for name in ("one", "other")
        )
        for service in (one, other):
            assert service.client.get("/readyz").json()["durability"] == "a power cut"
            service.client.headers["X-API-Key"] = key

        enrolled = enrol(one.client, "ada", "key-1")
        (match,) = search(other.client, min_change=enrolled["change"])
        assert match["sighting_id"] == enrolled["sightings"][0]["sighting_id"]
        again = enrol(other.client, "ada", "key-1")  # asked again, of the other
        assert again == enrolled

        revoked = command("keys", "create", "--scope", "read").stdout.strip()
        wait_until(lambda: other.client.get("/v1/persons", headers={"X-API-Key": revoked}).status_code == 200)
        command("keys", "revoke", revoked.split("_")[1])
        wait_until(lambda: other.client.get("/v1/persons", headers={"X-API-Key": revoked}).status_code == 401)

        cookie = one.client.post("/v1/session").cookies
        with httpx.Client(base_url=other.url, cookies=dict(cookie), trust_env=False) as browser:
            wait_until(lambda: browser.get("/v1/session").is_success)

        job = one.client.post("/v1/export").json()
        wait_until(lambda: one.client.get(f"/v1/jobs/{job['job_id']}").json()["state"] == "done")
        wait_until(lambda: other.client.get(f"/v1/jobs/{job['job_id']}").json()["state"] == "done")

        one.process.kill()
        one.process.wait()
        receipt = other.client.delete("/v1/persons/ada").json()
        receipt_id = receipt["receipt"]["receipt_id"]
        # The one that was killed may answer nothing after its lease: until then the erasure is not complete.
        wait_until(lambda: other.client.delete("/v1/persons/ada").json()["receipt"].get("completed_at"))
        assert other.client.delete("/v1/persons/ada").json()["receipt"]["receipt_id"] == receipt_id
        files = b"".join(path.read_bytes() for path in server.folder.rglob("*") if path.is_file())
        assert b"ada" not in files

        server.client.flushall()
        wait_until(lambda: other.client.get("/readyz").status_code == 503)
        refused = other.client.post("/v1/search", files=[("file", ("a.png", crop(1)))])
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
