"""The backup drill: the handbook's own commands, on a real service's home."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest

from service.child import running_service
from tests.service.conftest import crop

HANDBOOK = Path(__file__).parents[2] / "docs" / "operations.md"
Drill = Callable[[], AbstractContextManager[httpx.Client]]


@pytest.fixture
def service(tmp_path: Path, tiny_bundle: Path) -> Drill:
    """A service process on the same home each time; the one who asks it."""
    settings = {"REID_BUNDLE": str(tiny_bundle), "REID_DEVICE": "cpu", "REID_AUTH": "off"}

    @contextmanager
    def running() -> Iterator[httpx.Client]:
        with running_service(tmp_path / "home", tmp_path / "service.log", port=0, settings=settings) as service:
            yield service.client

    return running


def with_docker(tmp_path: Path) -> tuple[list[str], list[str]]:
    """How a container backs up and restores: what is run in it, its two folders being ours."""
    text = HANDBOOK.read_text().replace("\\\n", " ")
    found = re.findall(r"docker run .*debian:12-slim (.+)", text)
    assert len(found) == 2
    save, restore = (
        shlex.split(one.replace("/data", str(tmp_path / "home")).replace("/backup", str(tmp_path / "backup")))
        for one in found
    )
    return save, restore


def with_rsync(tmp_path: Path) -> tuple[list[str], list[str]]:
    """How an operator without containers does."""
    found = re.findall(r"^    (rsync .*)$", HANDBOOK.read_text(), re.MULTILINE)
    assert len(found) == 2
    save, restore = (
        shlex.split(one.replace('"$REID_HOME"', str(tmp_path / "home")).replace("/backup", str(tmp_path / "backup")))
        for one in found
    )
    return save, restore


def enrol(client: httpx.Client, seed: int, person_id: str) -> None:
    files = {"file": (f"{seed}.png", crop(seed))}
    data = {"person_id": person_id, "camera_id": f"c{seed % 2}", "captured_at": f"2026-01-0{seed}T00:00:00Z"}
    answer = client.post("/v1/sightings", files=files, data=data)
    assert answer.status_code == 201, answer.text


def answers(client: httpx.Client) -> dict[str, object]:
    """All that can be asked: who is known, every sighting, its image, and where else each was seen."""
    sightings = client.get("/v1/sightings").json()["sightings"]
    ids = [one["sighting_id"] for one in sightings]
    queries = [{"sighting_id": one} for one in ids]
    found = client.post("/v1/search", json={"queries": queries, "top_k": 10}).json()["results"] if ids else []
    return {
        "persons": client.get("/v1/persons").json()["persons"],
        "sightings": sightings,
        "images": [client.get(f"/v1/sightings/{one}/image").content for one in ids],
        "found": found,
    }


@pytest.mark.parametrize("commands", [with_docker, with_rsync])
def test_a_restored_backup_gives_the_answers_of_before(service: Drill, tmp_path: Path, commands) -> None:
    save, restore = commands(tmp_path)
    if shutil.which(save[0]) is None:
        pytest.skip(f"no {save[0]} here")
    (tmp_path / "backup").mkdir()
    with service() as client:
        for seed, person_id in enumerate(["ada", "ada", "bob", "bob"], start=1):
            enrol(client, seed, person_id)
        before = answers(client)
    subprocess.run(save, check=True)

    shutil.rmtree(tmp_path / "home")
    (tmp_path / "home").mkdir()
    subprocess.run(restore, check=True)
    with service() as client:
        assert answers(client) == before  # a new disk
        enrol(client, 5, "cy")
        assert client.delete("/v1/persons/bob").status_code == 200
        without_bob = {one["sighting_id"] for one in before["sightings"] if one["person_id"] != "bob"}
    subprocess.run(restore, check=True)
    with service() as client:
        after = answers(client)
    assert [one["person_id"] for one in after["persons"]] == ["ada"]
    assert {one["sighting_id"] for one in after["sightings"]} == without_bob
    assert {match["person_id"] for result in after["found"] for match in result["matches"]} == {"ada"}
    kept = zip(before["sightings"], before["images"], strict=True)
    assert after["images"] == [image for one, image in kept if one["sighting_id"] in without_bob]
