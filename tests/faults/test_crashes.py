"""Kills at random moments: nothing acknowledged is lost, nothing deleted comes back, nothing is there twice."""

import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from service.child import running_service
from tests.service.conftest import crop

STORE_KILLS, REDIS_KILLS, SERVICE_KILLS = 200, 25, 5
DEADLINE_S = 300


def test_two_hundred_kills_of_the_store():
    command = [sys.executable, "-m", "tests.faults.crasher", "--kills", str(STORE_KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{STORE_KILLS} kills" in done.stdout
    assert "\n0 faults" in done.stdout


def test_kills_of_a_service_over_redis():
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    command = [sys.executable, "-m", "tests.faults.crasher", "--redis", "--kills", str(REDIS_KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n0 faults" in done.stdout


def test_the_crasher_notices_galleries_that_are_broken_on_purpose():
    command = [sys.executable, "-m", "tests.faults.sabotage"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


class Camera:
    """One client that enrols, and deletes every third crop, until the service is gone."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.held: set[str] = set()
        self.gone: set[str] = set()
        self.unsure: str | None = None  # the idempotency key of what was asked for last
        self.number = 0

    def load(self, client: httpx.Client) -> None:
        try:
            while True:
                self.enrol(client)
                if self.number % 3 == 0 and self.held:
                    self.delete(client, min(self.held))
        except httpx.TransportError:
            return

    def enrol(self, client: httpx.Client) -> None:
        if self.unsure is None:
            self.number += 1
            self.unsure = f"{self.name}-{self.number}"
        answer = client.post(
            "/v1/sightings",
            files=[("file", ("a.png", crop(self.number)))],
            data={"camera_id": self.name},
            headers={"Idempotency-Key": self.unsure},
        )
        assert answer.status_code == 201, answer.text
        self.held |= {one["sighting_id"] for one in answer.json()["sightings"]}
        self.unsure = None

    def delete(self, client: httpx.Client, sighting_id: str) -> None:
        self.held.discard(sighting_id)  # asked to go: it may be there or not until that is answered
        assert client.delete(f"/v1/sightings/{sighting_id}").status_code in (200, 202)
        self.gone.add(sighting_id)

    def check(self, client: httpx.Client) -> None:
        """What a restarted service holds of this camera; what was asked for last is asked for once more."""
        if self.unsure is not None:
            self.enrol(client)
        listed = client.get("/v1/sightings", params={"camera_id": self.name, "limit": 500}).json()["sightings"]
        there = [one["sighting_id"] for one in listed]
        assert self.held - set(there) == set(), "lost"
        assert self.gone & set(there) == set(), "resurrected"
        assert len({one["image_sha256"] for one in listed} if "image_sha256" in listed[0] else set(there)) == len(there)
        self.held = set(there)
        for sighting_id in there[:2]:
            assert client.get(f"/v1/sightings/{sighting_id}/image").status_code == 200


def test_five_kills_of_the_whole_service(tmp_path: Path, tiny_bundle: Path):
    settings = {"REID_BUNDLE": str(tiny_bundle), "REID_DEVICE": "cpu", "REID_AUTH": "off"}
    cameras, rng = [Camera("north"), Camera("south")], random.Random(7)
    for kill in range(SERVICE_KILLS + 1):
        with running_service(tmp_path / "home", tmp_path / "log", settings=settings) as running:
            for camera in cameras:
                camera.check(running.client) if camera.number else None
            if kill == SERVICE_KILLS:
                return
            loads = [threading.Thread(target=camera.load, args=[running.client]) for camera in cameras]
            for load in loads:
                load.start()
            loads[0].join(rng.uniform(0.1, 0.8))
            running.process.kill()
            for load in loads:
                load.join()
