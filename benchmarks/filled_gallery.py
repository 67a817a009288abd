"""A gallery of as many sightings as are wanted, in seconds."""

import hashlib
import sqlite3
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid.predictors import Embedder
from service.gallery.gallery import Gallery
from service.gallery.records import new_id
from service.gallery.sqlite.schema import connect

_AT_ONCE, _OF_EACH = 10_000, 20


def fill(home: Path, embedder: Embedder, sightings: int) -> None:
    """A home as so many enrolments leave it, written in bulk, twenty sightings a person; the crops are empty files."""
    store = home / "gallery.sqlite"
    Gallery(home, store, embedder.bundle_id, embedder.dimension).close()
    connection = connect(store)
    connection.execute("PRAGMA synchronous = OFF")
    connection.executemany(
        "INSERT INTO persons (person_id, metadata, created_at_us, updated_at_us) VALUES (?, '{}', 0, 0)",
        [(f"person-{number}",) for number in range(sightings // _OF_EACH)],
    )
    for start in range(0, sightings, _AT_ONCE):
        _add(connection, home, start, sightings // _OF_EACH, unit_rows(_AT_ONCE, embedder.dimension, start))
    connection.close()


def _add(connection: sqlite3.Connection, home: Path, start: int, persons: int, vectors: NDArray[np.float16]) -> None:
    hashes = [hashlib.sha256(f"{start + number}".encode()).hexdigest() for number in range(len(vectors))]
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO sightings (sighting_id, person_row, camera_id, captured_at_us, captured_at_offset_minutes,"
        " tracklet_id, metadata, image_sha256, width_px, height_px, created_at_us)"
        " VALUES (?, ?, ?, ?, 0, ?, '{}', ?, 64, 128, 0)",
        [
            (
                new_id(),
                1 + number % persons,
                f"camera-{number % 16}",
                number * 10**6,
                f"t{number // _OF_EACH}",
                sha256,
            )
            for number, sha256 in enumerate(hashes, start)
        ],
    )
    connection.executemany(
        "INSERT INTO vectors VALUES (1, ?, ?)",
        [(start + number + 1, vector.tobytes()) for number, vector in enumerate(vectors)],
    )
    connection.execute("COMMIT")
    for sha256 in hashes:
        (home / "crops" / sha256[:2] / f"{sha256}.jpg").touch(mode=0o600)


def unit_rows(count: int, dimension: int, seed: int = 0) -> NDArray[np.float16]:
    """Random directions, (count, dimension) float16."""
    vectors = np.random.default_rng(seed).standard_normal((count, dimension), dtype=np.float32)
    unit: NDArray[np.float16] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    return unit
