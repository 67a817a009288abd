"""The compose file's own commands and environments, run natively beside a Frigate and a broker."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.child import environment, running_service
from service.client import Client, add_person, change_sighting, sightings
from tests.deploy.test_compose import SERVICES
from tests.service.frigate.fake import FakeFrigate, serving
from tests.service.gallery.conftest import DEADLINE_S, wait_until
from tests.service.homeassistant.test_home_assistant import retained
from tests.service.mosquitto import running_mosquitto


def set_by(name: str, given: dict[str, str]) -> dict[str, str]:
    """A service's environment with `${VARIABLE:-default}` filled in; what has no value is there if it is given."""

    def value(match: re.Match[str]) -> str:
        return given.get(match[1], match[2])

    written = SERVICES[name]["environment"]
    passed = {key: given[key] for key, text in written.items() if text is None and key in given}
    return passed | {
        key: re.sub(r"\$\{(\w+):-([^}]*)\}", value, text) for key, text in written.items() if text is not None
    }


@contextmanager
def running(name: str, given: dict[str, str], address: str, folder: Path) -> Iterator[None]:
    """A service of the reid image other than the gallery's: its command, with its volume at `folder`."""
    variables = set_by(name, given) | {"REID_URL": set_by(name, given)["REID_URL"].replace("http://reid:8000", address)}
    command = [word.replace("/data", str(folder)) for word in SERVICES[name]["command"]]
    process = subprocess.Popen(
        [sys.executable, "-m", "service.cli", *command], env=environment(folder, variables), stderr=subprocess.DEVNULL
    )
    try:
        yield
        assert process.poll() is None, f"{name} ended with {process.returncode}"
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def test_an_event_of_a_frigate_becomes_a_persons_sensor(tiny_bundle: Path, tmp_path: Path) -> None:
    settings = set_by("reid", {"REID_BUNDLE": str(tiny_bundle)}) | {"REID_AUTH": "off"}
    with (
        running_mosquitto(tmp_path) as port,
        serving(FakeFrigate()) as frigate,
        running_service(tmp_path / "home", tmp_path / "log", settings=settings) as reid,
    ):
        broker = f"mqtt://127.0.0.1:{port}"
        given = {"FRIGATE_URL": frigate.url, "FRIGATE_MQTT": broker, "REID_MQTT": broker}
        event = frigate.add(1, 0, "porch")
        with (
            running("frigate-adapter", given, reid.url, tmp_path),
            running("home-assistant-sensors", given, reid.url, tmp_path),
            Client(reid.url) as client,
        ):
            found = sightings(tracklet_id=f"frigate-{event}")
            wait_until(lambda: [one for one in client.send(found).sightings if one.person_id])
            client.send(add_person("ada", name="Ada"))
            client.send(change_sighting(client.send(found).sightings[0].sighting_id, person_id="ada"))
            wait_until(lambda: any('"camera": "porch"' in payload for payload in retained(port).values()))
