import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from service.child import ChildError, free_port
from service.demo.people import CROPS_PER_CAMERA, DRAWN_CAMERAS, PEOPLE, QUERIES, generated_people

DEADLINE_S = 240


def environment(bundle: Path) -> dict[str, str]:
    """Ours without any settings: generated people and the tiny bundle."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("REID_") and name != "ONCE"}
    return ours | {"REID_BUNDLE": str(bundle)}


def command(home: Path) -> list[str]:
    return [sys.executable, "-m", "service.demo", "--home", str(home)]


def run_once(home: Path, bundle: Path) -> str:
    """The whole demo; its output."""
    done = subprocess.run(
        command(home),
        env=environment(bundle) | {"ONCE": "1"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shown(output: str) -> str:
    """The size of the gallery and the table: the same whenever one gallery is asked."""
    return output[output.index("The gallery holds") : output.index("Picture")]


@contextmanager
def serving(home: Path, bundle: Path) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """A demo that serves: the process, its output so far, and the service's port."""
    with subprocess.Popen(command(home), env=environment(bundle), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            output = ""
            while (served := re.search(r"Serving http://127.0.0.1:(\d+)", output)) is None:
                line = process.stdout.readline()
                assert line, f"the demo ended: {output}"
                output += line
            yield process, output, int(served[1])
        finally:
            process.kill()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until_closed(port: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while is_open(port):
        assert time.monotonic() < deadline, f"port {port} is still served"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for the tests of this file: each run must leave it fit for the next."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def first_output(home: Path, tiny_bundle: Path) -> str:
    return run_once(home, tiny_bundle)


def test_the_demo_shows_whom_it_found_and_writes_a_picture(home: Path, first_output: str) -> None:
    assert "generated people" in first_output
    hits, misses = (len(re.findall(rf"\b{word}\b", first_output)) for word in ("hit", "miss"))
    assert hits + misses == QUERIES
    assert f"Rank-1 over {QUERIES} queries, other cameras only: {hits / QUERIES:.1%}" in first_output
    with Image.open(home / "matches.jpg") as picture:
        assert picture.height > picture.width > 500
    assert (home / "generated" / "demo.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_next_run_shows_the_same_and_serves_until_it_is_stopped(
    home: Path, tiny_bundle: Path, first_output: str, number: signal.Signals
) -> None:
    with serving(home, tiny_bundle) as (process, output, port):
        assert shown(output) == shown(first_output)
        assert is_open(port)
        process.send_signal(number)
        assert process.wait(DEADLINE_S) == 0
        assert not is_open(port)


def test_a_killed_demo_takes_its_service_along_and_leaves_a_home_that_works(tmp_path: Path, tiny_bundle: Path) -> None:
    kill_while_it_enrols(tmp_path, tiny_bundle)
    with serving(tmp_path, tiny_bundle) as (process, output, port):
        process.kill()
        process.wait()
        again = run_once(tmp_path, tiny_bundle)
        wait_until_closed(port)
    assert f"The gallery holds {len(generated_people().sightings)} sightings" in output
    assert shown(again) == shown(output)


def kill_while_it_enrols(home: Path, bundle: Path) -> None:
    with subprocess.Popen(command(home), env=environment(bundle), stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + DEADLINE_S
        while not any((home / "generated").rglob("*.jpg")):
            assert process.poll() is None, "the demo ended"
            assert time.monotonic() < deadline, "no crop was ever kept"
            time.sleep(0.01)
        process.kill()


def test_a_taken_port_is_refused_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ChildError, match=f"expected a free port, but {port} is taken"):
            free_port(port)


def test_generated_people_can_all_be_found_on_another_camera() -> None:
    people = generated_people()
    assert len(people.queries) == QUERIES
    known = [sighting for sighting in people.sightings if sighting.person_id]
    assert len(known) == PEOPLE * DRAWN_CAMERAS * CROPS_PER_CAMERA
    assert len(people.sightings) > len(known)
    for query in people.queries:
        others = {s.camera_id for s in known if s.person_id == query.person_id} - {query.camera_id}
        assert len(others) == DRAWN_CAMERAS - 1
        assert query.image not in {s.image for s in people.sightings}
