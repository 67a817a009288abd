"""Embeddings and labels of Market-1501's sizes, drawn: a metric's speed depends only on where true matches rank."""

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.labels import DISTRACTOR_PID, JUNK_PID, PeopleLabels

QUERIES, GALLERY = 3_368, 19_732
_JUNK, _DISTRACTORS = 3_819, 2_798
_PEOPLE, _CAMERAS, _DIMENSION = 750, 6, 512
_NOISE, _NOISE_SHAPE = 2.1, 6  # Rank-1 0.98, mAP 0.76, mINP 0.25: a middling network of the literature


def query_and_gallery() -> tuple[NDArray[np.float32], NDArray[np.float32], PeopleLabels, PeopleLabels]:
    """(3368, 512) and (19732, 512) float32 unit rows, labels; the gallery has Market's junk and distractors."""
    generator = np.random.default_rng(0)
    asked = generator.integers(1, _PEOPLE + 1, QUERIES)
    found = generator.integers(1, _PEOPLE + 1, GALLERY)
    found[:_JUNK] = JUNK_PID
    found[_JUNK : _JUNK + _DISTRACTORS] = DISTRACTOR_PID
    generator.shuffle(found)
    centres = generator.standard_normal((_PEOPLE + 1, _DIMENSION), dtype=np.float32)
    return (
        _crops(generator, centres[asked]),
        # Junk is somebody's bad crop; distractors are other people, each another.
        _crops(generator, np.where((found > 0)[:, None], centres[found], _strangers(generator, len(found)))),
        PeopleLabels(asked, generator.integers(1, _CAMERAS + 1, QUERIES)),
        PeopleLabels(found, generator.integers(1, _CAMERAS + 1, GALLERY)),
    )


def without_junk(vectors: NDArray[np.float32], labels: PeopleLabels) -> tuple[NDArray[np.float32], PeopleLabels]:
    """What peers rank that leave junk out when they read the set: 15 913 crops."""
    kept = labels.without_junk()
    return vectors[kept], labels[kept]


def _strangers(generator: np.random.Generator, count: int) -> NDArray[np.float32]:
    return generator.standard_normal((count, _DIMENSION), dtype=np.float32)


def _crops(generator: np.random.Generator, centres: NDArray[np.float32]) -> NDArray[np.float32]:
    """Crops around their people, some of them much better than others."""
    spread = _NOISE / _NOISE_SHAPE * generator.standard_gamma(_NOISE_SHAPE, size=(len(centres), 1), dtype=np.float32)
    vectors = centres + spread * generator.standard_normal(centres.shape, dtype=np.float32)
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
