"""A service as a child process: started, waited for, and gone when its parent is."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import httpx

from service.gallery.errors import HomeError
from service.gallery.home import Home

READY_S = 180
STOP_S = 20
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


class DemoError(Exception):
    """The demo cannot go on; the message says what was expected, what came, and where to look."""


def free_port(wanted: int | None) -> int:
    """The wanted port, else 8000, else any free one. Raises DemoError if the wanted one is taken."""
    for port in (8000, 0) if wanted is None else (wanted,):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise DemoError(f"expected a free port, but {wanted} is taken; leave --port out to get a free one")


def wait_for_home(home: Path) -> None:
    """Make sure that no service holds `home`; one whose demo was killed a moment ago is given time to end.

    Raises HomeError if it does not end in that time.
    """
    deadline = time.monotonic() + STOP_S
    while True:
        try:
            Home(home).close()
        except HomeError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def key_file(home: Path) -> Path:
    """Where the demo keeps its API key: in the home, so that both are deleted together."""
    return home / "demo.key"


def make_key(home: Path, log: Path) -> str:
    """The demo's API key: made by the service's own command the first time, read from its file afterwards."""
    path = key_file(home)
    if not path.exists():
        command = [*_COMMAND, "keys", "create", "--scope", "read", "--scope", "enrol"]
        with log.open("w") as errors:
            made = subprocess.run(
                command, env=_environment(home), stdout=subprocess.PIPE, stderr=errors, text=True, check=False
            )
        if made.returncode != 0:
            raise DemoError(f"expected a key, but `keys create` failed: {_last_line(log)}")
        new = path.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(made.stdout.strip())
        new.replace(path)
    return path.read_text()


@dataclass(frozen=True)
class RunningService:
    """A child process that answers at `url`."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait(self) -> NoReturn:
        """Wait until interrupted; raises DemoError if the service ends before."""
        self.process.wait()
        raise self.ended()

    def ended(self) -> DemoError:
        """The error that says how the service ended."""
        return DemoError(f"the service ended with {self.process.returncode}: {_last_line(self.log)} ({self.log})")


@contextlib.contextmanager
def running_service(home: Path, port: int, log: Path) -> Iterator[RunningService]:
    """Serve `home` on loopback and yield when it is ready; raises DemoError if it is not in time.

    The kernel ends the service when this process dies, however it dies: nothing is left that holds the home.
    """
    command = [*_COMMAND, "serve", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            env=_environment(home),
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,  # Ctrl-C is for us; we stop the service in our own time
            preexec_fn=_die_with_parent,
        )
    try:
        service = RunningService(f"http://127.0.0.1:{port}", process, log)
        _wait_until_ready(service)
        yield service
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


_COMMAND = (sys.executable, "-c", "from service.cli import app; app()")
_PASSED_ON = ("REID_BUNDLE", "REID_DEVICE")


def _environment(home: Path) -> dict[str, str]:
    """Ours, without the settings of another service, whose store or address the demo must not touch."""
    ours = {name: v for name, v in os.environ.items() if not name.startswith("REID_") or name in _PASSED_ON}
    return ours | {"REID_HOME": str(home), "REID_AUTH": "keys"}


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_until_ready(service: RunningService) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if service.process.poll() is not None:
            raise service.ended()
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{service.url}/readyz", trust_env=False).is_success:
                return
        time.sleep(0.1)
    raise DemoError(f"expected a ready service within {READY_S} s, got none; see {service.log}")


def _last_line(log: Path) -> str:
    lines = log.read_text().strip().splitlines()
    return lines[-1] if lines else "it said nothing"
