"""A box around a person, and how much two boxes share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Detection:
    """`box_xyxy`: left, top, right, bottom in pixels of its frame; `score` in [0, 1], as the detector gives it."""

    box_xyxy: Box
    score: float


def iou(boxes: Sequence[Box], others: Sequence[Box]) -> NDArray[np.float64]:
    """(N, M): intersection over union of each pair; 0 for boxes without an area.

    >>> iou([(0, 0, 2, 2)], [(1, 0, 3, 2), (2, 2, 4, 4)]).round(2).tolist()
    [[0.33, 0.0]]
    """
    first = np.asarray(boxes, dtype=np.float64).reshape(-1, 1, 4)
    second = np.asarray(others, dtype=np.float64).reshape(1, -1, 4)
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    shared = (high - low).clip(min=0).prod(axis=-1)
    union = _area(first) + _area(second) - shared
    overlap: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap


def _area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    area: NDArray[np.float64] = (boxes[..., 2:] - boxes[..., :2]).clip(min=0).prod(axis=-1)
    return area
