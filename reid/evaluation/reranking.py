"""k-reciprocal re-ranking (Zhong, Zheng, Cao and Li, CVPR 2017), with the ranking of the authors' code.

Two crops are alike when they are among each other's nearest neighbours. Every point is described by the soft set of
its k-reciprocal neighbours (equation 7), sets of neighbours are averaged (local query expansion), and the Jaccard
distance of two sets (equation 10) is mixed with the original distance: ``(1 - λ) d_J + λ d``. As in the authors' code,
d is the squared Euclidean distance divided by the row's greatest.

The sets hold a few dozen of the N points, so they are kept sparse; the common code fills several N × N arrays.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.labels import PeopleLabels
from reid.evaluation.scores import check_vectors, score_blocks

_PAIRS_AT_ONCE = 200_000
_POINTS_AT_ONCE = 2_048


@dataclass(frozen=True)
class RerankParameters:
    """`k1` neighbours may be reciprocal, `k2` are averaged, `weight` (λ) is the original distance's share."""

    k1: int = 20
    k2: int = 6
    weight: float = 0.3

    def __post_init__(self) -> None:
        """Raise ``ValueError`` unless k1 ≥ k2 ≥ 1 and 0 ≤ weight ≤ 1."""
        if not self.k1 >= self.k2 >= 1:
            raise ValueError(f"expected k1 ≥ k2 ≥ 1, got {self.k1} and {self.k2}")
        if not 0 <= self.weight <= 1:
            raise ValueError(f"expected a weight from 0 to 1, got {self.weight}")


@dataclass(frozen=True)
class _SparseRows:
    """N sparse rows: row i holds `values[starts[i]:starts[i + 1]]` at rising `columns` of the same span."""

    starts: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.float32]


def rerank(
    query: NDArray[np.float32], gallery: NDArray[np.float32], parameters: RerankParameters | None = None
) -> NDArray[np.float32]:
    """(Q, D) queries, (G, D) gallery, both unit rows → (Q, G) float32 distances, 0 to 1; lower is more alike.

    Neighbours at exactly the same distance count in the order queries, then gallery. With one query and the best few
    hundred of its matches as gallery this takes milliseconds; sets of neighbours are then those among the matches.

    Raises :class:`~reid.errors.VectorError` on rows that are not of unit length, ``ValueError`` on other shapes.
    """
    chosen = parameters or RerankParameters()
    points = _points(query, gallery)
    neighbours, greatest = _neighbours(points, chosen.k1 + 1)
    sets = _reciprocal_sets(points, neighbours, greatest, chosen.k1)
    if chosen.k2 > 1:
        sets = _averaged(sets, neighbours[:, : chosen.k2])
    distances = np.empty((len(query), len(gallery)), dtype=np.float32)
    by_column = _transposed(sets, first=len(query))
    for rows, scores in score_blocks(query, gallery):
        original = (2 - 2 * scores) / greatest[rows, None]
        for row, own in zip(range(rows.start, rows.stop), original, strict=True):
            jaccard = _jaccard(sets, by_column, row, len(gallery))
            distances[row] = (1 - chosen.weight) * jaccard + chosen.weight * own
    return distances


def _points(query: NDArray[np.float32], gallery: NDArray[np.float32]) -> NDArray[np.float32]:
    for name, rows in (("query", query), ("gallery", gallery)):
        nobody = np.zeros(len(rows), dtype=np.int64)
        check_vectors(rows, PeopleLabels(nobody, nobody), name)
    if query.shape[1] != gallery.shape[1]:
        raise ValueError(f"expected vectors of one length, got {query.shape[1]} and {gallery.shape[1]}")
    return np.concatenate([query, gallery])


def _neighbours(points: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Each point's nearest `count` (itself included), nearest first, (N, count), and its greatest distance, (N,)."""
    count = min(count, len(points))
    neighbours = np.empty((len(points), count), dtype=np.int64)
    greatest = np.empty(len(points), dtype=np.float32)
    for rows, scores in score_blocks(points, points):
        greatest[rows] = 2 - 2 * scores.min(axis=1)
        for row, own in zip(range(rows.start, rows.stop), scores, strict=True):
            level = np.partition(own, len(own) - count)[len(own) - count]
            near = np.flatnonzero(own >= level)
            neighbours[row] = near[np.argsort(-own[near], kind="stable")[:count]]
    return neighbours, np.maximum(greatest, np.finfo(np.float32).tiny)


def _reciprocal_sets(
    points: NDArray[np.float32], neighbours: NDArray[np.int64], greatest: NDArray[np.float32], k1: int
) -> _SparseRows:
    """Each point's expanded k-reciprocal set with weights that add up to 1 (equations 3, 5 and 7)."""
    # NumPy rounds halves to even, as the authors' code does: k1 = 5 gives 2.
    half = neighbours[:, : int(np.around(k1 / 2)) + 1]
    mutual, half_mutual = _mutual(neighbours), _mutual(half)
    keys = []
    for start in range(0, len(points), _POINTS_AT_ONCE):
        rows = np.arange(start, min(start + _POINTS_AT_ONCE, len(points)))
        keys.append(_expanded(rows, neighbours, mutual, half, half_mutual))
    owners, members = np.divmod(np.concatenate(keys), len(points))
    distances = _distances(points, owners, members) / greatest[owners]
    weights = np.exp(-distances)
    starts = np.searchsorted(owners, np.arange(len(points) + 1))
    totals = np.bincount(owners, weights)  # a point with more than k1 exact copies may have an empty set
    return _SparseRows(starts, members, (weights / totals[owners]).astype(np.float32))


def _mutual(neighbours: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of each point's neighbours have it among theirs, (N, k)."""
    mutual = np.empty(neighbours.shape, dtype=np.bool_)
    for start in range(0, len(neighbours), _POINTS_AT_ONCE):
        rows = slice(start, start + _POINTS_AT_ONCE)
        own = np.arange(len(neighbours))[rows, None, None]
        mutual[rows] = (neighbours[neighbours[rows]] == own).any(axis=2)
    return mutual


def _expanded(
    rows: NDArray[np.int64],
    neighbours: NDArray[np.int64],
    mutual: NDArray[np.bool_],
    half: NDArray[np.int64],
    half_mutual: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Sorted keys ``row * N + member`` of the sets of some rows: R(i, k1), and R(c, k1/2) of members c that overlap."""
    candidates, is_member = neighbours[rows], mutual[rows]
    theirs = half[candidates]  # (R, k, h)
    is_theirs = half_mutual[candidates] & is_member[:, :, None]
    members = np.where(is_member, candidates, -1)
    shared = np.zeros(theirs.shape, dtype=np.bool_)
    for column in members.T:
        shared |= theirs == column[:, None, None]
    overlap = (shared & is_theirs).sum(axis=2)
    accepted = overlap > 2 / 3 * is_theirs.sum(axis=2)
    is_theirs &= accepted[:, :, None]
    owner = rows[:, None] * len(neighbours)
    own_keys = (owner + candidates)[is_member]
    return np.unique(np.concatenate([own_keys, (owner[:, :, None] + theirs)[is_theirs]]))


def _distances(points: NDArray[np.float32], left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float32]:
    """Squared Euclidean distances of pairs of unit rows, (P,)."""
    distances = np.empty(len(left), dtype=np.float32)
    step = max(1, _PAIRS_AT_ONCE * 64 // points.shape[1])
    for start in range(0, len(left), step):
        some = slice(start, start + step)
        distances[some] = 2 - 2 * np.einsum("pd,pd->p", points[left[some]], points[right[some]])
    return distances


def _averaged(sets: _SparseRows, neighbours: NDArray[np.int64]) -> _SparseRows:
    """Each row becomes the mean of its nearest neighbours' rows (local query expansion, section 3.4)."""
    num, count = neighbours.shape
    starts, columns, values = [np.zeros(1, dtype=np.int64)], [], []
    for start in range(0, num, _POINTS_AT_ONCE):
        near = neighbours[start : start + _POINTS_AT_ONCE]
        owners, entries = _entries(sets, near.ravel())
        keys, inverse = np.unique(owners // count * num + sets.columns[entries], return_inverse=True)
        values.append(np.bincount(inverse, sets.values[entries] / count).astype(np.float32))
        rows, some = np.divmod(keys, num)
        columns.append(some)
        starts.append(np.searchsorted(rows, np.arange(1, len(near) + 1)) + starts[-1][-1])
    return _SparseRows(np.concatenate(starts), np.concatenate(columns), np.concatenate(values))


def _entries(sets: _SparseRows, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the entries of some rows lie: for each entry, which of `rows` it is of, and its position."""
    counts = sets.starts[rows + 1] - sets.starts[rows]
    owners = np.repeat(np.arange(len(rows)), counts)
    within = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    return owners, sets.starts[rows][owners] + within


def _transposed(sets: _SparseRows, first: int) -> _SparseRows:
    """Columns as rows, of the points from `first` on (the gallery), renumbered from 0."""
    begin = sets.starts[first]
    rows = np.repeat(np.arange(len(sets.starts) - 1 - first), np.diff(sets.starts[first:]))
    order = np.argsort(sets.columns[begin:], kind="stable")
    starts = np.searchsorted(sets.columns[begin:][order], np.arange(len(sets.starts)))
    return _SparseRows(starts, rows[order], sets.values[begin:][order])


def _jaccard(sets: _SparseRows, by_column: _SparseRows, row: int, num_gallery: int) -> NDArray[np.float64]:
    """Jaccard distances of one query to the gallery, (G,): only points that share a neighbour are touched."""
    span = slice(sets.starts[row], sets.starts[row + 1])
    owners, entries = _entries(by_column, sets.columns[span])
    least = np.minimum(sets.values[span][owners], by_column.values[entries])
    shared = np.bincount(by_column.columns[entries], least, minlength=num_gallery)
    return 1 - shared / (2 - shared)
