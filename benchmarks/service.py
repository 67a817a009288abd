"""One crop's embedding through the REST API of a real service process, against the bare model on the same bytes."""

import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reid import threads

threads.configure()

import httpx

from benchmarks.harness import Row, compare, main
from reid.datasets.generated import generate_crops
from reid.predictors import Embedder

_PORT = 8765
_READY_S = 120


def rows() -> Iterator[Row]:
    """The peer is faster by what HTTP, decoding limits and the queue cost: the ratio says how much."""
    buffer = io.BytesIO()
    generate_crops(1, cameras=1, per_camera=1)[0].image.save(buffer, "JPEG", quality=95)
    crop = buffer.getvalue()
    embedder = Embedder.load()
    with _service() as client:

        def served() -> httpx.Response:
            return client.post("/v1/embeddings", files={"file": crop}).raise_for_status()

        yield compare(
            "service embedding of one crop vs bare model",
            served,
            lambda: embedder.embed([crop]),
            peer_name="Embedder.embed in process",
            pairs=50,
        )


@contextmanager
def _service() -> Iterator[httpx.Client]:
    with tempfile.TemporaryDirectory() as home:
        environment = {"REID_HOME": home, "REID_AUTH": "off", "PATH": str(Path(sys.executable).parent)}
        command = [sys.executable, "-m", "service.cli", "serve", "--port", str(_PORT)]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{_PORT}", timeout=30) as client:
                _wait_until_ready(client, process)
                yield client
        finally:
            process.terminate()
            process.wait()


def _wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    sys.exit(f"expected the service to be ready within {_READY_S} s, exit status {process.poll()}")


if __name__ == "__main__":
    main("service", rows)
