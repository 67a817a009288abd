"""A service as a child process: started, waited for, asked, and gone when its parent is."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import httpx

COMMAND = (sys.executable, "-m", "service.cli")
READY_S = 180
STOP_S = 20
ANSWER_S = 60
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


class ChildError(Exception):
    """A service that cannot be run; the message says what was expected, what came, and where to look."""


@dataclass(frozen=True)
class RunningService:
    """A child process that answers at `url`, and a client to ask it with."""

    url: str
    process: subprocess.Popen[bytes]
    client: httpx.Client
    log: Path

    def wait(self) -> NoReturn:
        """Wait until interrupted; raises ChildError if the service ends before."""
        self.process.wait()
        raise self.ended()

    def ended(self) -> ChildError:
        """The error that says how the service ended."""
        return ChildError(f"the service ended with {self.process.returncode}: {last_line(self.log)} ({self.log})")


@contextmanager
def running_service(
    home: Path, log: Path, port: int | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[RunningService]:
    """Serve `home` on loopback with the `REID_*` variables `settings` and no others; yield when it is ready.

    Raises ChildError if it is not ready in time. The kernel ends the service when this process dies, however it
    dies: nothing is left that holds the home.
    """
    with log.open("w") as output, _listening(port) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        process = subprocess.Popen(
            [*COMMAND, "serve", "--fd", str(listening.fileno())],
            env=environment(home, settings or {}),
            pass_fds=[listening.fileno()],
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,  # Ctrl-C is for us; we stop the service in our own time
            preexec_fn=_die_with_parent,
        )
    try:
        with httpx.Client(base_url=url, timeout=ANSWER_S, trust_env=False) as client:
            service = RunningService(url, process, client, log)
            _wait_until_ready(service)
            yield service
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def environment(home: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Ours, without the settings of another service, whose store or address a child must not touch."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("REID_")}
    return ours | {"REID_HOME": str(home)} | dict(settings)


def free_port(wanted: int | None = None) -> int:
    """The wanted port, else 8000, else any free one. Raises ChildError if the wanted one is taken."""
    with _listening(wanted) as listening:
        return int(listening.getsockname()[1])


def _listening(wanted: int | None) -> socket.socket:
    """The port itself, taken before the service begins: two that begin at once must not meet on it."""
    for port in (8000, 0) if wanted is None else (wanted,):
        with suppress(OSError):
            return socket.create_server(("127.0.0.1", port))
    raise ChildError(f"expected a free port, but {wanted} is taken; leave it out to get a free one")


def last_line(log: Path) -> str:
    """The last that a child said."""
    lines = log.read_text().strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_until_ready(service: RunningService) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if service.process.poll() is not None:
            raise service.ended()
        with suppress(httpx.TransportError):
            if service.client.get("/readyz").is_success:
                return
        time.sleep(0.1)
    raise ChildError(f"expected a ready service within {READY_S} s, got none; see {service.log}")
