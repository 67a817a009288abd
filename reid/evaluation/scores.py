"""Scores of queries against a gallery, a block at a time: what every metric here reads, in bounded memory."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from reid.errors import VectorError
from reid.evaluation.labels import PeopleLabels

_BLOCK_BYTES = 32 * 2**20
_UNIT_TOLERANCE = 1e-3  # half-precision storage moves a length by less


def check_vectors(vectors: NDArray[np.float32], labels: PeopleLabels, name: str) -> None:
    """Raise ``ValueError`` unless `vectors` are (N, D), one per label; :class:`VectorError` unless of unit length."""
    if vectors.ndim != 2 or len(vectors) != len(labels):
        raise ValueError(f"expected {name} vectors ({len(labels)}, D), one per label, got {vectors.shape}")
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    # Written so that nan, which compares as false, is wrong too.
    wrong = np.flatnonzero(~(np.abs(lengths - 1.0) <= _UNIT_TOLERANCE))
    if len(wrong):
        raise VectorError(f"expected {name} rows of unit length, but row {wrong[0]} has length {lengths[wrong[0]]}")


def check_pair(query: NDArray[np.float32], gallery: NDArray[np.float32], q: PeopleLabels, g: PeopleLabels) -> None:
    """:func:`check_vectors` on both sides, and ``ValueError`` unless their vectors are of one length."""
    check_vectors(query, q, "query")
    check_vectors(gallery, g, "gallery")
    if query.shape[1] != gallery.shape[1]:
        raise ValueError(f"expected vectors of one length, got {query.shape[1]} and {gallery.shape[1]}")


def score_blocks(
    query: NDArray[np.float32], gallery: NDArray[np.float32]
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield runs of query rows with their (B, G) cosines; (Q, D) against (G, D), both unit rows.

    While the caller works on one block, the next is computed. The array may be written to, and is overwritten later:
    fresh pages would cost as much as the product.
    """
    size = max(1, min(len(query), _BLOCK_BYTES // (4 * max(1, len(gallery)))))
    buffers = itertools.cycle([np.empty((size, len(gallery)), dtype=np.float32) for _ in range(2)])

    def score(rows: slice) -> NDArray[np.float32]:
        return np.matmul(query[rows], gallery.T, out=next(buffers)[: rows.stop - rows.start])

    blocks = [slice(start, min(start + size, len(query))) for start in range(0, len(query), size)]
    with ThreadPoolExecutor(1) as ahead:
        products = (ahead.submit(score, rows) for rows in blocks)
        coming = next(products, None)
        for rows in blocks:
            assert coming is not None
            scores = coming.result()
            coming = next(products, None)
            yield rows, scores
