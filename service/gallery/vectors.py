"""What a vector must be: of unit length, as nearly as float16 and text keep it."""

import numpy as np
from numpy.typing import NDArray

from reid.errors import VectorError

UNIT_TOLERANCE = 1e-2  # how far from 1 a length may be: float16 and text cost digits


def are_unit(vectors: NDArray[np.float16]) -> NDArray[np.bool_]:
    """Which of `vectors` (N, D) are of unit length; what is not finite is not."""
    wide = vectors.astype(np.float32)
    near: NDArray[np.bool_] = np.abs(np.sqrt(np.einsum("nd,nd->n", wide, wide)) - 1) <= UNIT_TOLERANCE
    return near


def mean_direction(embeddings: NDArray[np.float32], dimension: int) -> NDArray[np.float32]:
    """The unit mean (D,) of a caller's unit rows (N, D); raises VectorError for others, or if they cancel out."""
    if embeddings.ndim != 2 or embeddings.shape[1] != dimension:
        raise VectorError(f"expected vectors of {dimension} numbers, got {embeddings.shape[-1]}")
    if not np.isfinite(embeddings).all():
        raise VectorError("expected finite vectors, got NaN or infinity")
    lengths = np.linalg.norm(embeddings, axis=1)
    if np.any(np.abs(lengths - 1) > UNIT_TOLERANCE):
        raise VectorError(f"expected vectors of unit length, got a length of {lengths.max():.4g}")
    mean = (embeddings / lengths[:, None]).mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length < UNIT_TOLERANCE:
        raise VectorError("expected images of one person, got vectors that cancel out")
    direction: NDArray[np.float32] = mean / np.float32(length)
    return direction
