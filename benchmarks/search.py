"""Exact search over up to a million sightings of 512 numbers: against FAISS as installed, products, qdrant-client.

The million takes 6 GB of memory.
"""

from collections.abc import Callable, Iterator
from functools import partial

from reid import threads

threads.configure()

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.harness import Row, compare, main
from benchmarks.qdrant_local import VERSION, qdrant_local
from reid.search import ExactIndex, View

_SIZES, _DIMENSION, _TOP_K, _BATCH = (10_000, 100_000, 200_000, 1_000_000), 512, 10, 64
_LARGEST_QDRANT = 100_000  # it takes vectors in one by one
_FAISS = "faiss IndexFlatIP, float32"


def rows() -> Iterator[Row]:
    """How each size does against its peers, on the same rows."""
    queries = _unit_rows(_BATCH, seed=1)
    for size in _SIZES:
        stored = _unit_rows(size, seed=0).astype(np.float16)
        index = ExactIndex(_DIMENSION)
        index.add(np.arange(size), stored)
        yield from _against_faiss(index.view(), stored, queries)
        yield from _against_the_machine(index.view(), stored, queries)
        if size <= _LARGEST_QDRANT:
            yield from _against_qdrant(index.view(), stored, queries)


def _against_faiss(view: View, stored: NDArray[np.float16], queries: NDArray[np.float32]) -> Iterator[Row]:
    flat = faiss.IndexFlatIP(_DIMENSION)
    flat.add(stored.astype(np.float32))
    pairs = 5 if len(stored) < 1_000_000 else 3
    for batch in (1, _BATCH):
        yield compare(
            f"{_name(stored)} batch {batch} vs faiss as installed",
            partial(view.search, queries[:batch], _TOP_K),
            partial(flat.search, queries[:batch], _TOP_K),
            peer_name=_FAISS,
            pairs=pairs,
            per=batch,
        )
    for percent in (1, 10, 50):
        keep = np.random.default_rng(percent).random(len(stored)) < percent / 100
        selector = faiss.IDSelectorBatch(np.flatnonzero(keep))
        parameters = faiss.SearchParameters()
        parameters.sel = selector
        yield compare(
            f"{_name(stored)} single, filter keeps {percent} % vs faiss as installed",
            partial(view.search, queries[:1], _TOP_K, keep),
            partial(flat.search, queries[:1], _TOP_K, params=parameters),
            peer_name=f"{_FAISS}, IDSelectorBatch",
            pairs=15,
        )


def _against_the_machine(view: View, stored: NDArray[np.float16], queries: NDArray[np.float32]) -> Iterator[Row]:
    """A product alone finds nobody, and reading alone does not multiply: the ratios say how much the rest costs."""
    exact, asked = torch.from_numpy(stored).float(), torch.from_numpy(queries)
    yield compare(
        f"{_name(stored)} batch {_BATCH} vs bare product",
        partial(view.search, queries, _TOP_K),
        lambda: asked @ exact.T,
        peer_name="torch float32 product of queries and rows, on all processors",
        pairs=5,
        per=_BATCH,
    )
    words = torch.from_numpy(stored.view(np.int64))
    yield compare(
        f"{_name(stored)} single vs reading the rows once",
        partial(view.search, queries[:1], _TOP_K),
        words.max,
        peer_name="torch maximum of the stored bytes, on all processors",
        pairs=15,
    )


def _against_qdrant(view: View, stored: NDArray[np.float16], queries: NDArray[np.float32]) -> Iterator[Row]:
    with qdrant_local(stored.astype(np.float32), queries) as ask:
        for batch in (1, _BATCH):
            ours: Callable[[], object] = partial(view.search, queries[:batch], _TOP_K)
            yield compare(
                f"{_name(stored)} batch {batch} vs qdrant-client local",
                ours,
                partial(ask, batch),
                peer_name=f"qdrant-client {VERSION}, local mode in memory",
                pairs=3,
                per=batch,
            )


def _name(stored: NDArray[np.float16]) -> str:
    size = f"{len(stored) // 1000}k" if len(stored) < 1_000_000 else f"{len(stored) // 1_000_000}M"
    return f"search {size} x {_DIMENSION}"


def _unit_rows(count: int, seed: int) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).standard_normal((count, _DIMENSION), dtype=np.float32)
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


if __name__ == "__main__":
    main("search", rows)
