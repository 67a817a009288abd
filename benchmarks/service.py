"""The REST API of a real service process: one crop, 64 clients, and five times what it can do."""

import dataclasses
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reid import threads

threads.configure()

import httpx

from benchmarks.harness import Row, compare, main
from reid.datasets.generated import generate_crops
from reid.images import decode_image
from reid.predictors import Embedder
from service.batching import BATCH_IMAGES
from service.child import free_port, running_service

_REQUESTS, _CLIENTS, _PAIRS = 320, 64, 5
_DEADLINE_S, _OVERLOAD_S, _OVERLOAD_CLIENTS = 1, 8, 512
_TYPE = "multipart/form-data; boundary=b"


def rows() -> Iterator[Row]:
    """The load generator is a process of its own on the same processors, as is the naive endpoint."""
    crop = _crop()
    embedder = Embedder.load()
    pixels = embedder.bundle.preprocess.stack([decode_image(crop)] * BATCH_IMAGES)

    def batches() -> None:
        for _ in range(_REQUESTS // BATCH_IMAGES):
            embedder.embed_pixels(pixels)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        body = folder / "body"
        part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        body.write_bytes(part + crop + b"\r\n--b--\r\n")
        with _service(folder, "10") as (url, client):

            def served() -> httpx.Response:
                return client.post("/v1/embeddings", files={"file": crop}).raise_for_status()

            def crowd() -> None:
                done = _load(url, "/v1/embeddings", body, "--clients", _CLIENTS, "--requests", _REQUESTS)
                assert done["statuses"] == {"200": _REQUESTS}, done["statuses"]

            yield compare(
                "service embedding of one crop vs bare model",
                served,
                lambda: embedder.embed([crop]),
                peer_name="Embedder.embed in process",
                pairs=50,
            )
            yield compare(
                "service 64 clients vs bare model batches",
                crowd,
                batches,
                peer_name=f"Embedder.embed_pixels in process, {BATCH_IMAGES} at a time",
                pairs=_PAIRS,
                per=_REQUESTS,
            )
            with _naive() as naive_url:
                yield compare(
                    "service 64 clients vs naive endpoint",
                    crowd,
                    lambda: _load(naive_url, "/embed", body, "--clients", _CLIENTS, "--requests", _REQUESTS),
                    peer_name="a FastAPI route that runs the model for each request",
                    pairs=_PAIRS,
                    per=_REQUESTS,
                )
        yield from _overload(folder, body)


def _overload(folder: Path, body: Path) -> Iterator[Row]:
    """Goodput at 500 % of the peak against the peak itself; how late the worst good answer and refusal were."""
    with _service(folder, str(_DEADLINE_S)) as (url, _):
        worst: list[tuple[float, float]] = []
        rate = 0.0

        def peak() -> None:
            nonlocal rate
            done = _load(url, "/v1/embeddings", body, "--clients", BATCH_IMAGES, "--requests", _REQUESTS)
            rate = len(done["good_s"]) / done["taken_s"]

        peak()
        goods, peaks = [], []
        for _ in range(_PAIRS):
            peak()
            done = _load(
                url, "/v1/embeddings", body, "--clients", _OVERLOAD_CLIENTS, "--seconds", _OVERLOAD_S,
                "--per-second", 5 * rate,
            )  # fmt: skip
            peaks.append(rate)
            goods.append(len(done["good_s"]) / done["taken_s"])
            worst.append((max(done["good_s"]), statistics.quantiles(done["other_s"], n=100)[-1]))
        ratios = [good / best for good, best in zip(goods, peaks, strict=True)]
        goodput = dataclasses.replace(
            compare("", lambda: None, lambda: None, peer_name="", pairs=1),
            name="service goodput at 500 % load vs peak",
            ours=round(statistics.median(goods), 1),
            peer=round(statistics.median(peaks), 1),
            peer_name=f"the same service with {BATCH_IMAGES} clients",
            ratio=round(statistics.median(ratios), 3),
            unit="img/s",
            higher_is_better=True,
            spread=(round(min(ratios), 3), round(max(ratios), 3)),
        )
        yield goodput
        for which, (meaning, promised_s) in enumerate((("slowest answer", _DEADLINE_S), ("refusals p99", 0.1))):
            taken = [one[which] for one in worst]
            yield dataclasses.replace(
                goodput,
                name=f"service {meaning} at 500 % load vs promise",
                ours=round(1000 * statistics.median(taken), 1),
                peer=1000 * promised_s,
                peer_name="the promise",
                ratio=round(promised_s / statistics.median(taken), 3),
                unit="ms",
                higher_is_better=False,
                spread=(round(promised_s / max(taken), 3), round(promised_s / min(taken), 3)),
            )


def _crop() -> bytes:
    buffer = io.BytesIO()
    generate_crops(1, cameras=1, per_camera=1)[0].image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@contextmanager
def _service(folder: Path, deadline_s: str) -> Iterator[tuple[str, httpx.Client]]:
    settings = {"REID_AUTH": "off", "REID_DEADLINE_S": deadline_s}
    with running_service(folder / "home", folder / "log", settings=settings) as running:
        yield running.url, running.client


@contextmanager
def _naive() -> Iterator[str]:
    url = f"http://127.0.0.1:{(port := free_port(None))}"
    with subprocess.Popen([sys.executable, "-m", "benchmarks.naive", str(port)]) as process:
        try:
            while process.poll() is None and not _answers(url):
                time.sleep(0.2)
            yield url
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/openapi.json", trust_env=False).is_success
    except httpx.TransportError:
        return False


def _load(url: str, path: str, body: Path, *options: object) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.load", url, path, str(body), _TYPE, *map(str, options)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    done: dict[str, Any] = json.loads(said)
    return done


if __name__ == "__main__":
    main("service", rows)
