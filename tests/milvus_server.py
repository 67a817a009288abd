"""Milvus Lite as a server of its own, killed and started again as often as a test likes."""

import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest

from service.gallery.milvus.address import MilvusAddress
from tests.redis_server import DEADLINE_S, free_port


class MilvusServer:
    """Its files are in `folder`."""

    def __init__(self, folder: Path) -> None:
        pytest.importorskip("milvus_lite")
        self.folder = folder
        self.port = free_port()
        self.start()

    def address(self, **options: str) -> MilvusAddress:
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return MilvusAddress.parse(f"milvus://127.0.0.1:{self.port}?{query}")

    def start(self) -> None:
        command = [sys.executable, "-m", "milvus_lite", "server", "--data-dir", str(self.folder / "data")]
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(self.port)], stdout=log, stderr=log
            )
        until_s = time.monotonic() + DEADLINE_S
        with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            ready = grpc.channel_ready_future(channel)
            while True:
                try:
                    ready.result(timeout=0.2)
                except grpc.FutureTimeoutError:
                    assert self._process.poll() is None, (self.folder / "log").read_text()
                    assert time.monotonic() < until_s, "not in time"
                else:
                    return

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
