"""Galleries without a network: crops with vectors that a test chooses. Nothing here imports torch."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service.gallery.gallery import Gallery
from service.gallery.records import Actor, Crop

BUNDLE = "b" * 64
DIMENSION = 4
EVERYONE = Actor("test")


def open_gallery(folder: Path, bundle_id: str = BUNDLE) -> Gallery:
    return Gallery(folder, folder / "gallery.sqlite", bundle_id, DIMENSION)


def crop(text: str, bundle_id: str = BUNDLE) -> Crop:
    """A crop whose bytes and vector follow from `text`."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
    vector = np.random.default_rng(seed).standard_normal(DIMENSION)
    vector /= np.linalg.norm(vector)
    return Crop(f"jpeg bytes of {text}.".encode(), 32, 64, vector.astype(np.float16), bundle_id)


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    opened = open_gallery(tmp_path)
    yield opened
    opened.close()
