"""The REST API of a real service process: one crop, 64 clients, and 50 %, 90 % and 500 % of what it can do.

`--minutes 30` is how long its memory is watched, at 90 %.
"""

import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reid import threads

threads.configure()

import httpx
import numpy as np

from benchmarks.filled_gallery import fill, unit_rows
from benchmarks.harness import Row, compare, main, measured, resident_mb
from benchmarks.untrained import untrained_resnet50
from reid.datasets.generated import generate_crops
from reid.images import decode_image
from reid.predictors import Embedder
from reid.search import ExactIndex
from service.batching import BATCH_IMAGES
from service.child import free_port, running_service

_REQUESTS, _CLIENTS, _PAIRS = 320, 64, 5
_GALLERY = 200_000
_DEADLINE_S, _LEVEL_S, _MOST_CLIENTS = 1, 8, 512
_LEVELS, _OVERLOAD = (50, 90, 500), 500  # percent of the peak
_PERCENTILES = (50, 95, 99)
_PATH = "/v1/embeddings"
_TYPE = "multipart/form-data; boundary=b"


def rows(minutes: float) -> Iterator[Row]:
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
        with _service(folder, "60") as (url, client, _):  # nobody is to be sent away

            def served() -> httpx.Response:
                return client.post(_PATH, files={"file": crop}).raise_for_status()

            def crowd() -> None:
                done = run_load(url, _PATH, body, _TYPE, "--clients", _CLIENTS, "--requests", _REQUESTS)
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
        yield _against_naive(folder, body)
        yield _search(folder, embedder, crop)
        yield from _under_load(folder, body, minutes)


def _against_naive(folder: Path, body: Path) -> Row:
    """The same ResNet-50 in both."""
    bundle = untrained_resnet50(folder / "resnet50")
    many = ("--clients", _CLIENTS, "--requests", _REQUESTS)
    with _service(folder / "of-resnet50", "60", bundle) as (url, _, _), _naive(bundle) as naive_url:

        def crowd() -> None:
            done = run_load(url, _PATH, body, _TYPE, *many)
            assert done["statuses"] == {"200": _REQUESTS}, done["statuses"]

        return compare(
            "service 64 clients vs naive endpoint",
            crowd,
            lambda: run_load(naive_url, "/embed", body, _TYPE, *many),
            peer_name="the same ResNet-50 by torch in a FastAPI route, one request at a time",
            pairs=_PAIRS,
            per=_REQUESTS,
        )


def _search(folder: Path, embedder: Embedder, crop: bytes) -> Row:
    """One crop against a large gallery, with its audit line on the disk, and what alone cannot be spared."""
    home = folder / "large"
    home.mkdir()
    fill(home / "home", embedder, _GALLERY)
    index = ExactIndex(embedder.dimension)
    index.add(np.arange(_GALLERY), unit_rows(_GALLERY, embedder.dimension))
    view = index.view()
    with _service(home, "60") as (_, client, _):
        return compare(
            f"service search of one crop in {_GALLERY // 1000}k sightings vs model and scan",
            lambda: client.post("/v1/search", files={"file": crop}).raise_for_status(),
            lambda: view.search(embedder.embed([crop]), 10),
            peer_name="Embedder.embed and the index in process",
            pairs=50,
        )


@dataclass
class _Level:
    """What came of one offered load, run after run: good answers a second, and how long answers and refusals took."""

    goodput: list[float] = field(default_factory=list)
    good_s: list[list[float]] = field(default_factory=list)
    other_s: list[list[float]] = field(default_factory=list)

    def note(self, done: dict[str, Any]) -> None:
        """Add a run."""
        self.goodput.append(len(done["good_s"]) / done["taken_s"])
        self.good_s.append(done["good_s"])
        self.other_s.append(done["other_s"])


def _under_load(folder: Path, body: Path, minutes: float) -> Iterator[Row]:
    """Each run of a level follows one of the peak, which says how much it is; then the memory, for a long while."""
    with _service(folder, str(_DEADLINE_S)) as (url, _, process):

        def peak() -> float:
            done = run_load(url, _PATH, body, _TYPE, "--clients", BATCH_IMAGES, "--requests", _REQUESTS)
            assert done["good_s"], (
                f"expected {BATCH_IMAGES} clients to be served within {_DEADLINE_S} s: too busy a machine"
            )
            return len(done["good_s"]) / float(done["taken_s"])

        def offered(per_second: float, seconds: float) -> dict[str, Any]:
            steadily = ("--seconds", seconds, "--per-second", per_second)
            return run_load(url, _PATH, body, _TYPE, "--clients", _MOST_CLIENTS, *steadily)

        peak()
        levels, peaks = {percent: _Level() for percent in _LEVELS}, list[float]()
        for _ in range(_PAIRS):
            for percent, level in levels.items():
                rate = peak()
                level.note(offered(rate * percent / 100, _LEVEL_S))
                if percent == _OVERLOAD:
                    peaks.append(rate)
        yield from _latencies(levels)
        overload = levels[_OVERLOAD]
        yield measured(
            f"service goodput at {_OVERLOAD} % load vs peak",
            list(zip(overload.goodput, peaks, strict=True)),
            peer_name=f"the same service with {BATCH_IMAGES} clients",
            unit="img/s",
            higher_is_better=True,
        )
        slowest, refusals = [max(run) for run in overload.good_s], [_percentile(run, 99) for run in overload.other_s]
        yield _promised(f"slowest answer at {_OVERLOAD} % load", slowest, _DEADLINE_S)
        yield _promised(f"refusals p99 at {_OVERLOAD} % load", refusals, 0.1)
        before_mb = resident_mb(process.pid)
        offered(0.9 * statistics.median(peaks), 60 * minutes)
        yield measured(
            "service memory after a long run at 90 % load vs before",
            [(resident_mb(process.pid), before_mb)],
            peer_name=f"the same process {minutes:g} minutes earlier",
            unit="MB",
        )


def _latencies(levels: dict[int, _Level]) -> Iterator[Row]:
    """Of the good answers, from when each request was due."""
    for percent, level in levels.items():
        for which in _PERCENTILES:
            yield _promised(
                f"p{which} at {percent} % load", [_percentile(run, which) for run in level.good_s], _DEADLINE_S
            )


def _percentile(seconds: list[float], which: int) -> float:
    return statistics.quantiles(seconds, n=100)[which - 1]


def _promised(what: str, seconds: list[float], promised_s: float) -> Row:
    pairs = [(1000 * one, 1000 * promised_s) for one in seconds]
    return measured(f"service {what} vs promise", pairs, peer_name="the promise", unit="ms")


def _crop() -> bytes:
    buffer = io.BytesIO()
    generate_crops(1, cameras=1, per_camera=1)[0].image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@contextmanager
def _service(
    folder: Path, deadline_s: str, bundle: Path | str = "default"
) -> Iterator[tuple[str, httpx.Client, subprocess.Popen[bytes]]]:
    folder.mkdir(exist_ok=True)
    settings = {"REID_AUTH": "off", "REID_DEADLINE_S": deadline_s, "REID_BUNDLE": str(bundle)}
    with running_service(folder / "home", folder / "log", settings=settings) as running:
        yield running.url, running.client, running.process


@contextmanager
def _naive(bundle: Path) -> Iterator[str]:
    url = f"http://127.0.0.1:{(port := free_port(None))}"
    with subprocess.Popen([sys.executable, "-m", "benchmarks.naive", str(port), str(bundle)]) as process:
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


def run_load(url: str, path: str, body: Path, media_type: str, *options: object) -> dict[str, Any]:
    """What came of a load that :mod:`benchmarks.load` offered from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.load", url, path, str(body), media_type, *map(str, options)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    done: dict[str, Any] = json.loads(said)
    return done


if __name__ == "__main__":
    main("service", rows, minutes=1)
