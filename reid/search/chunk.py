"""One append-only block of half-precision rows that FAISS scans in place.

Loads FAISS, which reads its thread count once: a program calls :func:`reid.threads.configure` before.
"""

import faiss
import numpy as np
from numpy.typing import NDArray

FAISS_PADDING = -1  # the position FAISS gives where it found fewer rows than asked


class Chunk:
    """Room for `capacity` rows of `dimension` float16, all of it laid out at once.

    FAISS is told from the start that every row is there, and a selector keeps it away from those not yet
    written. So a row is added by writing bytes in place, nothing a concurrent search reads is ever moved, and
    readers need no lock.
    """

    def __init__(self, capacity: int, dimension: int) -> None:
        self.capacity = capacity
        self._index = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        self._index.codes.resize(capacity * self._index.code_size)
        self._index.ntotal = capacity
        codes = faiss.rev_swig_ptr(self._index.codes.data(), capacity * self._index.code_size)
        self.vectors: NDArray[np.float16] = codes.view("<f2").reshape(capacity, dimension)

    def search(
        self, queries: NDArray[np.float32], top_k: int, keep: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Best `top_k` positions for each of `queries` (Q, D), as scores (Q, top_k) and positions (Q, top_k).

        `keep` (capacity,) names the rows to look at; None means all of them. Where fewer are left, positions
        end in -1. The order of equal scores is FAISS's own.
        """
        if keep is None:
            scores, positions = self._index.search(queries, top_k)
        else:
            bits = np.packbits(keep, bitorder="little")
            selector = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))
            parameters = faiss.SearchParameters()  # one for each search: FAISS may write into it
            parameters.sel = selector
            scores, positions = self._index.search(queries, top_k, params=parameters)
        return scores, positions
