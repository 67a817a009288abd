"""The service as it is run: a process that is killed, started again, and asked for what it acknowledged."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.service.conftest import crop

DEADLINE_S = 90
COMMAND = [str(Path(sys.executable).with_name("reid-service"))]


@pytest.fixture
def environment(tmp_path: Path, tiny_bundle: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("REID_")}
    return {**clean, "REID_HOME": str(tmp_path / "home"), "REID_BUNDLE": str(tiny_bundle), "REID_DEVICE": "cpu"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def command(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


@contextmanager
def served(environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    port = free_port()
    process = subprocess.Popen([*COMMAND, "serve", "--port", str(port)], env=environment)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=DEADLINE_S, trust_env=False) as client:
            wait_until_ready(process, client)
            yield process, client
    finally:
        process.kill()
        process.wait()


def wait_until_ready(process: subprocess.Popen[bytes], client: httpx.Client) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the service ended with {process.returncode}"
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail("the service was not ready in time")


def enrol(client: httpx.Client) -> dict:
    answer = client.post("/v1/sightings", files=[("file", ("a.png", crop(1)))], data={"person_id": "ada"})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_what_was_acknowledged_outlives_a_kill(environment):
    key = command(environment, "keys", "create", "--scope", "read", "--scope", "enrol").stdout.strip()
    with served(environment) as (process, client):
        assert client.get("/v1/persons").status_code == 401
        client.headers["X-API-Key"] = key
        acknowledged = enrol(client)
        process.kill()
        process.wait()
    with served({**environment, "REID_AUTH": "off"}) as (process, client):
        answer = client.post("/v1/search", files=[("file", ("a.png", crop(1)))]).json()
        (match,) = answer["results"][0]["matches"]
        assert match["sighting_id"] == acknowledged["sightings"][0]["sighting_id"]
        assert answer["change"] >= acknowledged["change"]

        second = command(environment, "serve", "--port", str(free_port()))
        assert second.returncode == 2
        assert second.stderr.splitlines()[-1].startswith("reid-service: expected a REID_HOME of its own")

        for headers in ({"Host": "a.example"}, {"Origin": "http://a.example"}, {"X-Forwarded-For": "1.2.3.4"}):
            assert client.get("/v1/persons", headers=headers).status_code == 403

        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({"REID_AUTH": "off"}, ["--host", "0.0.0.0"], "needs a loopback REID_HOST"),
        ({"REID_TOPK": "3"}, [], "REID_TOPK: no such setting"),
        ({"REID_BUNDLE": "/nowhere"}, [], "expected a bundle folder"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_line(environment, changes, arguments, message):
    refused = command({**environment, **changes}, "serve", *arguments)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert refused.stderr.count("\n") == 1
