"""A real redis-server for tests: its own folder and port, killed and started again as often as a test likes."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
import redis

from service.gallery.redis.address import RedisAddress

DEADLINE_S = 30
_OPTIONS = {
    "appendonly": "yes",
    "appendfsync": "always",
    "rdbcompression": "no",  # a grep of the files must see what they hold
    "save": "",
    "hz": "100",  # children that have finished are noticed sooner
    "bind": "127.0.0.1",
    "daemonize": "no",
}


class RedisServer:
    """Durable as the store wants it, unless `options` say otherwise."""

    def __init__(self, folder: Path, **options: str) -> None:
        if shutil.which("redis-server") is None:
            pytest.skip("redis-server is not installed")
        self.folder = folder
        self._options = _OPTIONS | options
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.client = redis.Redis(port=self.port)
        self.start()

    def address(self, gallery: str = "reid") -> RedisAddress:
        return RedisAddress(f"redis://127.0.0.1:{self.port}/0", gallery)

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--dir", str(self.folder)]
        for name, value in self._options.items():
            command += [f"--{name}", value]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until_s = time.monotonic() + DEADLINE_S
        while True:
            try:
                self.client.ping()
            except redis.ConnectionError:
                assert self._process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < until_s, "not in time"
                time.sleep(0.01)
            else:
                return

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()

    def stop(self) -> None:
        self.client.close()
        self.kill()
