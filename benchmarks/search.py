"""Exact search over 200 000 sightings of 512 numbers, against FAISS as installed on the same rows."""

from collections.abc import Iterator
from functools import partial

from reid import threads

threads.configure()

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Row, compare, main
from reid.search import ExactIndex

_SIGHTINGS, _DIMENSION, _TOP_K = 200_000, 512, 10


def rows() -> Iterator[Row]:
    """A single query, a batch, and a filter that keeps a hundredth of the gallery."""
    gallery = _unit_rows(_SIGHTINGS, seed=0).astype(np.float16)
    queries = _unit_rows(64, seed=1)
    index = ExactIndex(_DIMENSION)
    index.add(np.arange(_SIGHTINGS), gallery)
    flat = faiss.IndexFlatIP(_DIMENSION)
    flat.add(gallery.astype(np.float32))
    size = f"search {_SIGHTINGS // 1000}k x {_DIMENSION}"
    peer_name = "faiss IndexFlatIP, float32"
    for batch in (1, 64):
        asked = queries[:batch]
        yield compare(
            f"{size} batch {batch} vs faiss as installed",
            partial(index.search, asked, _TOP_K),
            partial(flat.search, asked, _TOP_K),
            peer_name=peer_name,
            pairs=5,
            per=batch,
        )
    keep = np.zeros(_SIGHTINGS, dtype=np.bool_)
    keep[::100] = True
    selector = faiss.IDSelectorBatch(np.flatnonzero(keep))
    parameters = faiss.SearchParameters()
    parameters.sel = selector
    yield compare(
        f"{size} single, filter keeps 1 % vs faiss as installed",
        lambda: index.search(queries[:1], _TOP_K, keep),
        lambda: flat.search(queries[:1], _TOP_K, params=parameters),
        peer_name=f"{peer_name}, IDSelectorBatch",
    )


def _unit_rows(count: int, seed: int) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).standard_normal((count, _DIMENSION), dtype=np.float32)
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


if __name__ == "__main__":
    main("search", rows)
