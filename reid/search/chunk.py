"""One append-only block of half-precision rows, laid out for the scan: FAISS and torch read it in place.

Loads FAISS, which reads its thread count once: a program calls :func:`reid.threads.configure` before.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import faiss
import numpy as np
from numpy.typing import NDArray

from reid import threads

FAISS_PADDING = -1  # the position FAISS gives where it found fewer rows than asked
ROWS_ARE_MULTIPLES_OF = 32  # of which a batch takes the best at once
_SPLIT_AT_ONCE = 1_024  # rows, so that what lies between float16 and its two parts stays in the cache
# One query takes FAISS one thread: told so, it wakes no others.
WORKERS = ThreadPoolExecutor(threads.share_of_processors(), "search", initializer=partial(faiss.omp_set_num_threads, 1))


class HighRows:
    """`capacity` rows of `dimension` bfloat16 that FAISS scans in place; `high` (capacity, D) uint16 are their bits."""

    def __init__(self, capacity: int, dimension: int) -> None:
        self._index = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_bf16, faiss.METRIC_INNER_PRODUCT)
        self._index.codes.resize(capacity * self._index.code_size)
        self._index.ntotal = capacity
        codes = faiss.rev_swig_ptr(self._index.codes.data(), capacity * self._index.code_size)
        self.high: NDArray[np.uint16] = codes.view("<u2").reshape(capacity, dimension)

    def search(
        self, query: NDArray[np.float32], depth: int, keep: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The `depth` highest scores for `query` (D,), best first, and the positions of the rows.

        `keep` (up to capacity,) names the rows to look at; None means all of them. Where fewer are left, fewer are
        given. The order of equal scores is FAISS's own.
        """
        if keep is None:
            scores, positions = self._index.search(query[None], depth)
        else:
            bits = np.packbits(keep, bitorder="little")
            selector = faiss.IDSelectorBitmap(len(bits), faiss.swig_ptr(bits))  # what lies beyond is not looked at
            parameters = faiss.SearchParameters()  # one for each search: FAISS may write into it
            parameters.sel = selector
            scores, positions = self._index.search(query[None], depth, params=parameters)
        there = positions[0] != FAISS_PADDING
        return scores[0][there], positions[0][there]


class Chunk(HighRows):
    """Room for at least `capacity` rows of `dimension` float16, all of it laid out at once.

    Each number is kept in two parts that together are it, bit for bit: `high` (capacity, D), the nearest bfloat16, and
    `low` (capacity, D) int8, how many float16 steps it is from there. A scan reads `high` alone, as fast as memory
    gives it; with both, the few rows that a scan cannot tell apart are scored exactly.

    FAISS is told from the start that every row is there, and a selector keeps it away from those not yet
    written. So a row is added by writing bytes in place, nothing a concurrent search reads is ever moved, and
    readers need no lock.
    """

    def __init__(self, capacity: int, dimension: int) -> None:
        self.capacity = rounded_up(capacity)
        super().__init__(self.capacity, dimension)
        self.low = np.zeros((self.capacity, dimension), np.int8)
        self.longest = self.longest_rest = 0.0  # Euclidean, of a row, and of what `high` leaves of it

    def write(self, start: int, vectors: NDArray[np.float16]) -> None:
        """Put finite `vectors` (N, D) float16 at the positions from `start` on."""
        starts = range(start, start + len(vectors), _SPLIT_AT_ONCE)
        parts = [vectors[first : first + _SPLIT_AT_ONCE] for first in range(0, len(vectors), _SPLIT_AT_ONCE)]
        lengths = (
            WORKERS.map(self._write_some, starts, parts) if len(parts) > 1 else map(self._write_some, starts, parts)
        )
        for longest, rest in lengths:
            self.longest, self.longest_rest = max(self.longest, longest), max(self.longest_rest, rest)

    def vectors(self, positions: NDArray[np.int64]) -> NDArray[np.float16]:
        """The rows (N, D) at `positions` (N,), as they were written."""
        return _joined(self.high[positions], self.low[positions])

    def _write_some(self, start: int, vectors: NDArray[np.float16]) -> tuple[float, float]:
        """Write few rows; the length of the longest, and of the most that `high` leaves of any."""
        at = slice(start, start + len(vectors))
        self.high[at], self.low[at] = _split(vectors)
        wide = vectors.astype(np.float32)
        return _longest(wide), _longest(wide - as_float32(self.high[at]))


def rounded_up(rows: int) -> int:
    """The next multiple of ROWS_ARE_MULTIPLES_OF."""
    return -(-rows // ROWS_ARE_MULTIPLES_OF) * ROWS_ARE_MULTIPLES_OF


def as_float32(high: NDArray[np.uint16]) -> NDArray[np.float32]:
    """bfloat16 bits as the numbers they mean."""
    wide = np.zeros((*high.shape, 2), "<u2")
    wide[..., 1] = high
    numbers: NDArray[np.float32] = wide.view("<f4")[..., 0]
    return numbers


def _split(vectors: NDArray[np.float16]) -> tuple[NDArray[np.uint16], NDArray[np.int8]]:
    """The nearest bfloat16, and the steps from there."""
    bits = np.ascontiguousarray(vectors).view(np.uint16)
    return _HIGH[bits], _LOW[bits]


def _joined(high: NDArray[np.uint16], low: NDArray[np.int8]) -> NDArray[np.float16]:
    return (_float16_bits(high) + low).view(np.float16)


def _float16_bits(high: NDArray[np.uint16]) -> NDArray[np.int16]:
    with np.errstate(over="ignore"):  # the float16 just below infinity is nearest to a bfloat16 just above
        return as_float32(high).astype(np.float16).view(np.int16)


def _longest(rows: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.einsum("nd,nd->n", rows, rows).max()))


def _split_every_float16() -> tuple[NDArray[np.uint16], NDArray[np.int8]]:
    """Both parts of each of the 65 536 float16, by its bits: rounded to nearest, ties to even.

    Float16 numbers of one sign, in order, are counted by their bits: so a step is a difference of bits.
    """
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    bits = every.astype("<f4").view("<u4")
    high = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return high, (every.view(np.int16) - _float16_bits(high)).astype(np.int8)


_HIGH, _LOW = _split_every_float16()
