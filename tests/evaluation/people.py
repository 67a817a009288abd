"""Labels and vectors of people who do not exist."""

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.labels import PeopleLabels


def labels(pids: list[int], camids: list[int]) -> PeopleLabels:
    return PeopleLabels(np.array(pids, dtype=np.int64), np.array(camids, dtype=np.int64))


def unit_rows(generator: np.random.Generator, count: int, dimension: int) -> NDArray[np.float32]:
    rows = generator.normal(size=(count, dimension)).astype(np.float32)
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def exact_unit_rows(generator: np.random.Generator, count: int) -> NDArray[np.float32]:
    """4-d unit rows whose products float32 holds exactly, so that ties are ties whatever the order of summation."""
    halves = generator.choice(np.array([-0.5, 0.5], dtype=np.float32), (count, 4))
    axes = np.eye(4, dtype=np.float32)[generator.integers(4, size=count)]
    rows: NDArray[np.float32] = np.where(generator.random((count, 1)) < 0.5, halves, axes)
    return rows


def crowd(
    seed: int, count: int, *, people: int, cameras: int = 2, noise: float = 1.0
) -> tuple[NDArray[np.float32], PeopleLabels]:
    """`count` crops as 16-d unit rows around their person's direction, pids from 1, cameras in turn."""
    generator = np.random.default_rng(seed)
    pids = 1 + np.arange(count) % people
    rows = generator.normal(size=(people + 1, 16))[pids] + noise * generator.normal(size=(count, 16))
    unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit, PeopleLabels(pids, 1 + np.arange(count) // people % cameras)
