"""Enrolment to the disk, and a service with a million sightings: how long it takes to start, what it takes up.

The million takes 8 GB of disk, and minutes to be made.
"""

import io
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from reid import threads

threads.configure()

from benchmarks.filled_gallery import fill, unit_rows
from benchmarks.harness import Row, compare, main, measured, resident_mb
from reid.datasets.generated import generate_crops
from reid.predictors import Embedder
from service.child import running_service
from service.gallery.gallery import Gallery
from service.gallery.records import Actor, Crop, Moment, SightingFields

_ENROLLED, _WRITERS, _MILLION = 320, 16, 1_000_000
_ACTOR = Actor("benchmark")


def rows() -> Iterator[Row]:
    """Group commit against a transaction for each; then the million against an empty gallery."""
    embedder = Embedder.load()
    with tempfile.TemporaryDirectory() as folder:
        yield _enrolment(Path(folder), embedder)
        home = Path(folder) / "million"
        fill(home, embedder, _MILLION)
        yield from _million(Path(folder), home, 2 * embedder.dimension)


def _enrolment(folder: Path, embedder: Embedder) -> Row:
    crops = _crops(embedder)
    with closing(
        Gallery(folder / "home", folder / "home" / "gallery.sqlite", embedder.bundle_id, embedder.dimension)
    ) as to:

        def enrol(crop: Crop) -> None:
            to.enrol(_ACTOR, [crop], SightingFields(Moment.now(), "ada", "north"))

        def together() -> None:
            with ThreadPoolExecutor(_WRITERS) as pool:
                list(pool.map(enrol, crops))

        def alone() -> None:
            for crop in crops:
                enrol(crop)

        return compare(
            f"enrolment {_WRITERS} writers vs one after another",
            together,
            alone,
            peer_name="the same gallery, each write waited for: a transaction and an fsync each",
            pairs=3,
            per=len(crops),
        )


def _million(folder: Path, home: Path, vector_bytes: int) -> Iterator[Row]:
    resident, ready_s = [], []
    for where in (home, folder / "empty", home, folder / "empty"):
        begun = time.perf_counter()
        with running_service(where, folder / "log", settings={"REID_AUTH": "off"}) as running:
            ready_s.append(time.perf_counter() - begun)
            resident.append(resident_mb(running.process.pid))
    yield _row("start-up at 1M sightings vs an empty gallery", min(ready_s[::2]), min(ready_s[1::2]), "s")
    yield _row("memory at 1M sightings vs an empty gallery", resident[0], resident[1], "MB")
    stored = sum(path.stat().st_size for path in home.glob("gallery.sqlite*"))
    yield _row("bytes per sighting in the store vs its vector", stored / _MILLION, vector_bytes, "B")


def _row(name: str, ours: float, peer: float, unit: str) -> Row:
    return measured(f"enrolment {name}", [(ours, peer)], peer_name=name.partition(" vs ")[2], unit=unit)


def _crops(embedder: Embedder) -> list[Crop]:
    """Crops as cameras send them, each another: the vector is of no matter here."""
    people = generate_crops(_ENROLLED // 8, cameras=2, per_camera=4)
    vectors = unit_rows(len(people), embedder.dimension)
    crops = []
    for crop, vector in zip(people, vectors, strict=True):
        buffer = io.BytesIO()
        crop.image.save(buffer, "JPEG", quality=95)
        crops.append(Crop(buffer.getvalue(), crop.image.width, crop.image.height, vector, embedder.bundle_id))
    return crops


if __name__ == "__main__":
    main("enrolment", rows)
