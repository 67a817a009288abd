"""The service as it is run: a process that is killed, started again, and asked for what it acknowledged."""

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from service import child
from service.child import free_port, running_service
from tests.service.conftest import crop

DEADLINE_S = 90
COMMAND = [str(Path(sys.executable).with_name("reid-service"))]


@pytest.fixture
def settings(tiny_bundle: Path) -> dict[str, str]:
    return {"REID_BUNDLE": str(tiny_bundle), "REID_DEVICE": "cpu"}


@pytest.fixture
def environment(tmp_path: Path, settings: dict[str, str]) -> dict[str, str]:
    return child.environment(tmp_path / "home", settings)


def command(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


def enrol(client: httpx.Client) -> dict:
    answer = client.post("/v1/sightings", files=[("file", ("a.png", crop(1)))], data={"person_id": "ada"})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_what_was_acknowledged_outlives_a_kill(environment, settings, tmp_path):
    home, log = tmp_path / "home", tmp_path / "service.log"
    key = command(environment, "keys", "create", "--scope", "read", "--scope", "enrol").stdout.strip()
    with running_service(home, log, settings=settings) as running:
        client, process = running.client, running.process
        assert client.get("/v1/persons").status_code == 401
        client.headers["X-API-Key"] = key
        acknowledged = enrol(client)
        process.kill()
        process.wait()
        assert {path.stat().st_mode & 0o077 for path in home.rglob("*")} == {0}
    with running_service(home, log, settings={**settings, "REID_AUTH": "off"}) as running:
        client, process = running.client, running.process
        answer = client.post("/v1/search", files=[("file", ("a.png", crop(1)))]).json()
        (match,) = answer["results"][0]["matches"]
        assert match["sighting_id"] == acknowledged["sightings"][0]["sighting_id"]
        assert answer["change"] >= acknowledged["change"]

        second = command(environment, "serve", "--port", str(free_port(0)))
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
    refused = command({**environment, **changes}, "serve", "--port", str(free_port(0)), *arguments)
    assert refused.returncode == 2
    assert message in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_sigterm_ends_the_service_while_somebody_listens_for_events(settings, tmp_path):
    with (
        running_service(tmp_path / "home", tmp_path / "log", settings={**settings, "REID_AUTH": "off"}) as service,
        service.client.stream("GET", "/v1/events") as answer,
    ):
        lines = answer.iter_lines()
        assert next(lines) == "retry: 2000"
        service.process.terminate()
        assert list(lines) == [""]
        assert service.process.wait(DEADLINE_S) == 0
