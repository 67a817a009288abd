"""Galleries without a network: crops with vectors that a test chooses. Nothing here imports torch."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service.gallery.gallery import Gallery
from service.gallery.milvus.address import MilvusAddress
from service.gallery.records import Actor, Crop, Moment, SightingFields
from service.gallery.search import Query, Terms
from service.gallery.stores import StoreAddress, bundle_in_force

BUNDLE, OTHER = "b" * 64, "c" * 64
DIMENSIONS = {BUNDLE: 4, OTHER: 6}
DIMENSION = DIMENSIONS[BUNDLE]
EVERYONE = Actor("test")
DEADLINE_S = 30
# What a killed process leaves there is the same as on a disk, and nobody waits for that.
MEMORY = Path("/dev/shm") if Path("/dev/shm").is_dir() else None


def open_gallery(
    folder: Path,
    bundle_id: str = BUNDLE,
    address: StoreAddress | None = None,
    index_address: MilvusAddress | None = None,
) -> Gallery:
    gallery = Gallery(folder, address or folder / "gallery.sqlite", bundle_id, DIMENSIONS[bundle_id], index_address)
    _opened.append(gallery)
    return gallery


_opened: list[Gallery] = []


@pytest.fixture(autouse=True)
def _all_closed() -> Iterator[None]:
    """A failed test's gallery, left open, would keep pytest from ending: its writer's thread waits for more.

    One that was there before the test is its module's.
    """
    before = len(_opened)
    yield
    while len(_opened) > before:
        _opened.pop().close()


def reopen_gallery(
    folder: Path, address: StoreAddress | None = None, index_address: MilvusAddress | None = None
) -> Gallery:
    """With the bundle that was in force, as the service does."""
    bundle_id = bundle_in_force(address or folder / "gallery.sqlite") or BUNDLE
    return open_gallery(folder, bundle_id, address, index_address)


def crop(text: str, bundle_id: str = BUNDLE) -> Crop:
    """A crop whose bytes and vector follow from `text`."""
    jpeg = f"jpeg bytes of {text}.".encode()
    return Crop(jpeg, 32, 64, embed([jpeg], bundle_id)[0].astype(np.float16), bundle_id)


def embed(jpegs: Sequence[bytes], bundle_id: str = OTHER) -> NDArray[np.float32]:
    """What a bundle makes of crops: unit rows, other ones for another bundle."""
    seeds = [int.from_bytes(hashlib.sha256(jpeg + bundle_id.encode()).digest()[:4], "big") for jpeg in jpegs]
    size = DIMENSIONS[bundle_id]
    rows = [np.random.default_rng(seed).standard_normal(size, np.float32) for seed in seeds]
    return np.array([row / np.linalg.norm(row) for row in rows], np.float32).reshape(-1, size)


def fields(person_id: str | None = None, camera_id: str | None = None, **more: Any) -> SightingFields:
    return SightingFields(captured_at=Moment(1_000_000), person_id=person_id, camera_id=camera_id, **more)


def looking_like(text: str, bundle_id: str = BUNDLE) -> Query:
    return Query(embeddings=crop(text, bundle_id).embedding.astype(np.float32)[None], bundle_id=bundle_id)


def found(gallery: Gallery, query: Query, actor: Actor = EVERYONE, **terms: Any) -> list[str]:
    """The sightings that a search finds, best first."""
    (result,), _ = gallery.search(actor, [(query, Terms(**terms))])
    return [match.sighting.sighting_id for match in result.matches]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def kept(folder: Path) -> set[bytes]:
    """The crops below the home `folder`."""
    return {path.read_bytes() for path in folder.glob("crops/??/*.jpg")}


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.005)


def together(gallery: Gallery, *writes: Callable[[], object]) -> None:
    """Run writes on threads of their own so that they wait, in this order, for one commit."""
    go = threading.Event()
    with ThreadPoolExecutor(len(writes)) as pool:
        gallery._store.submit(lambda _: go.wait(DEADLINE_S))
        wait_until(lambda: gallery._store._waiting.empty())
        futures = []
        try:
            for number, write in enumerate(writes, 1):
                futures.append(pool.submit(write))
                wait_until(lambda number=number: gallery._store._waiting.qsize() == number)
        finally:
            go.set()
        for future in futures:
            future.result()


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    opened = open_gallery(tmp_path)
    yield opened
    opened.close()
