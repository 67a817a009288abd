"""k-reciprocal re-ranking at Market-1501's size, against the dense form that most projects carry.

The peer needs 13 GB of memory and minutes.
"""

from collections.abc import Iterator

from reid import threads

threads.configure()

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Row, compare, main
from benchmarks.market_size import query_and_gallery, without_junk
from benchmarks.torchreid_package import VERSION, installed_torchreid, load
from reid.evaluation.reranking import rerank

_CHECKED = 300


def rows() -> Iterator[Row]:
    """Both start from the same vectors and end with (Q, G) distances; a small part is compared first."""
    query, everything, _, labels = query_and_gallery()
    gallery, _ = without_junk(everything, labels)
    with installed_torchreid() as package:
        dense = load(package / "utils" / "rerank.py")

        def peer(query: NDArray[np.float32], gallery: NDArray[np.float32]) -> NDArray[np.float32]:
            # It squares what it is given: the paper's distance is the squared Euclidean one.
            distances: NDArray[np.float32] = dense.re_ranking(
                _euclidean(query, gallery), _euclidean(query, query), _euclidean(gallery, gallery)
            )
            return distances

        few = query[:_CHECKED], gallery[: 5 * _CHECKED]
        assert np.abs(rerank(*few) - peer(*few)).max() < 1e-3
        yield compare(
            f"reranking {len(query) + len(gallery)} points vs dense matrices",
            lambda: rerank(query, gallery),
            lambda: peer(query, gallery),
            peer_name=f"re_ranking of torchreid {VERSION}: N × N arrays",
            pairs=1,  # minutes each
        )


def _euclidean(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    squared = left @ right.T
    squared *= -2
    squared += 2
    distances: NDArray[np.float32] = np.sqrt(np.maximum(squared, 0, out=squared), out=squared)
    return distances


if __name__ == "__main__":
    main("reranking", rows)
