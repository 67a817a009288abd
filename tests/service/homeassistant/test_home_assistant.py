"""Home Assistant's broker shows who was last seen where, and nobody who is gone."""

import asyncio
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiomqtt

from service.child import free_port
from service.homeassistant.command import _hear
from tests.service.gallery.conftest import DEADLINE_S, wait_until
from tests.service.mosquitto import running_mosquitto

ADA = hashlib.sha256(b"ada.l").hexdigest()[:16]
CONFIG, STATE = f"homeassistant/sensor/reid/{ADA}/config", f"reid/person/{ADA}"
AVAILABILITY, OTHER = "reid/availability", "homeassistant/sensor/other/config"


def retained(port: int) -> dict[str, str]:
    """Every message that the broker retains."""

    async def read() -> dict[str, str]:
        held: dict[str, str] = {}
        async with aiomqtt.Client("127.0.0.1", port) as connection:
            await connection.subscribe("#")
            await connection.publish("that is all")
            async for message in connection.messages:
                if str(message.topic) == "that is all":
                    break
                held[str(message.topic)] = message.payload.decode()
        return held

    return asyncio.run(read())


def leave(port: int, topic: str) -> None:
    async def write() -> None:
        async with aiomqtt.Client("127.0.0.1", port) as connection:
            await connection.publish(topic, "left behind", retain=True)

    asyncio.run(write())


@contextmanager
def telling(service, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The command, as a process."""
    command = [sys.executable, "-m", "service.cli", "home-assistant", "--mqtt", f"mqtt://127.0.0.1:{port}"]
    given = ["--every", "0.3", "--url", str(service.client.base_url), "--key", service.key("read")["X-API-Key"]]
    process = subprocess.Popen([*command, *given], stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait(DEADLINE_S)


def test_who_was_last_seen_where_is_told_until_they_are_erased(service, tmp_path: Path) -> None:
    with running_mosquitto(tmp_path) as port:
        leave(port, "homeassistant/sensor/reid/0123456789abcdef/config")
        leave(port, "reid/person/0123456789abcdef")
        leave(port, OTHER)
        service.client.post("/v1/persons", json={"person_id": "ada.l", "name": "Ada"}).raise_for_status()
        service.enrol(1, person_id="ada.l", camera_id="north", captured_at="2026-03-01T12:00:00+01:00")
        service.enrol(2, person_id="nameless", camera_id="north")
        with telling(service, port) as process:
            wait_until(lambda: {CONFIG, STATE, AVAILABILITY, OTHER} == retained(port).keys())
            held = retained(port)
            sensor = json.loads(held[CONFIG])
            assert (sensor["name"], sensor["unique_id"], sensor["state_topic"]) == ("Ada", f"reid-{ADA}", STATE)
            assert (sensor["availability_topic"], held[AVAILABILITY]) == (AVAILABILITY, "online")
            told = json.loads(held[STATE])
            assert (told["camera"], told["captured_at"]) == ("north", "2026-03-01T12:00:00+01:00")
            service.enrol(3, person_id="ada.l", camera_id="yard", captured_at="2026-03-01T11:30:00Z")
            service.enrol(4, person_id="ada.l", camera_id="old", captured_at="2026-02-01T00:00:00Z")
            wait_until(lambda: json.loads(retained(port)[STATE])["camera"] == "yard")
            service.client.patch("/v1/persons/ada.l", json={"name": "Ada L."}).raise_for_status()
            wait_until(lambda: json.loads(retained(port)[CONFIG])["name"] == "Ada L.")
            service.client.delete("/v1/persons/ada.l").raise_for_status()
            wait_until(lambda: retained(port).keys() == {AVAILABILITY, OTHER})
            process.kill()
            wait_until(lambda: retained(port)[AVAILABILITY] == "offline")


def test_a_broker_that_forgot_everything_is_told_again(service, tmp_path: Path) -> None:
    port = free_port(0)
    service.client.post("/v1/persons", json={"person_id": "ada.l", "name": "Ada"}).raise_for_status()
    with telling(service, port):
        for _ in range(2):
            with running_mosquitto(tmp_path, port):
                wait_until(lambda: retained(port).keys() == {CONFIG, AVAILABILITY})


def test_events_that_fall_silent_are_joined_again(monkeypatch, caplog) -> None:
    monkeypatch.setattr("service.homeassistant.command._SILENT_S", 0.1)
    monkeypatch.setattr("service.homeassistant.command._RECONNECT_S", 0.0)

    async def twice() -> None:
        joined = asyncio.Semaphore(0)

        async def fall_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nretry: 2000\n\n")
            joined.release()
            try:
                await reader.read()  # until the other end gives it up
            finally:
                writer.close()

        async with await asyncio.start_server(fall_silent, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            hearing = asyncio.create_task(_hear(f"http://127.0.0.1:{port}", None, asyncio.Event()))
            try:
                for _ in range(2):
                    await asyncio.wait_for(joined.acquire(), DEADLINE_S)
            finally:
                hearing.cancel()
                await asyncio.wait([hearing])

    asyncio.run(twice())
    assert re.search(r"events are away: \w+Timeout", caplog.text)


def test_a_broker_that_is_none_is_said_at_once(service) -> None:
    command = [sys.executable, "-m", "service.cli", "home-assistant", "--mqtt", "core-mosquitto:1883"]
    ended = subprocess.run(
        [*command, "--url", str(service.client.base_url)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("reid-service: expected a broker as mqtt://")


def test_a_key_that_may_not_read_is_said_at_once(service, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "service.cli", "home-assistant", "--mqtt", "mqtt://127.0.0.1:1"]
    given = ["--url", str(service.client.base_url), "--key", service.key("enrol")["X-API-Key"]]
    ended = subprocess.run([*command, *given], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert ended.returncode == 2
    assert "403 forbidden" in ended.stderr
