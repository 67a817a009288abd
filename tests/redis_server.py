"""A real redis-server for tests: its own folder and port, killed and started again as often as a test likes."""

import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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

_WHOLE = {"cluster_state": "ok", "cluster_slots_ok": "16384"}.items()


@contextmanager
def running_redis(folder: Path) -> Iterator["RedisServer"]:
    """A server in a new folder of its own, stopped at the end."""
    folder.mkdir()
    server = RedisServer(folder)
    try:
        yield server
    finally:
        server.stop()


class RedisServer:
    """Durable as the store wants it, unless `options` say otherwise."""

    def __init__(self, folder: Path, **options: str) -> None:
        if shutil.which("redis-server") is None:
            pytest.skip("redis-server is not installed")
        self.folder = folder
        self._options = _OPTIONS | options
        self.port = free_port()
        self.client = redis.Redis(port=self.port)
        self.start()

    def join(self, others: "list[RedisServer]") -> None:
        """Make a cluster of these and wait until each knows who has what; this one and the others share the slots."""
        nodes = [self, *others]
        share = 16_384 // len(nodes)
        for number, node in enumerate(nodes):
            last = 16_383 if node is nodes[-1] else (number + 1) * share - 1
            node.client.execute_command("CLUSTER ADDSLOTSRANGE", number * share, last)
            self.client.execute_command("CLUSTER MEET", "127.0.0.1", node.port)
        self.wait_for_cluster(nodes)

    @staticmethod
    def wait_for_cluster(nodes: "list[RedisServer]") -> None:
        """Wait until every node serves: one that was started again does so after two seconds."""
        until_s = time.monotonic() + DEADLINE_S
        for node in nodes:
            while not node.client.cluster("INFO").items() >= _WHOLE:
                assert time.monotonic() < until_s, "not in time"
                time.sleep(0.02)

    def address(self, gallery: str = "reid", crops: Path | None = None) -> RedisAddress:
        return RedisAddress(f"redis://127.0.0.1:{self.port}/0", gallery, crops=crops)

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
                # Of two suites at once, the one that came too late would otherwise talk to the other's server.
                assert self._process.poll() is None, (self.folder / "log").read_text()
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


def free_port() -> int:
    """A free one, with the port of a node's bus 10 000 above, that no outgoing connection is ever given.

    Those are given ports from 32768 on: one of them could take a server's place while it is killed and started again.
    """
    for port in random.sample(range(10_000, 22_000), 100):
        with socket.socket() as probe, socket.socket() as bus, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            bus.bind(("127.0.0.1", port + 10_000))
            return port
    raise AssertionError("no port is free")
