"""A real mosquitto."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.child import free_port
from tests.service.gallery.conftest import DEADLINE_S, wait_until


@contextmanager
def running_mosquitto(folder: Path, port: int | None = None, password: str | None = None) -> Iterator[int]:
    """Run one on loopback, which anybody may talk to, or only `reid` with that password; its port."""
    mosquitto = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if mosquitto is None:
        pytest.skip("mosquitto is not installed (Debian: apt-get install mosquitto)")
    port = free_port(0) if port is None else port
    known = "allow_anonymous true" if password is None else f"password_file {_password_file(folder, password)}"
    (folder / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\n{known}\nuser root\n")  # who starts it keeps it
    process = subprocess.Popen([mosquitto, "-c", str(folder / "mosquitto.conf")], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _answers(port))
        yield port
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def _password_file(folder: Path, password: str) -> Path:
    file = folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", file, "reid", password], check=True, capture_output=True)
    return file


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
