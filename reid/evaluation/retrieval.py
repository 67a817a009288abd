"""Rank-k and mAP by the protocol of Market-1501 (Zheng et al. 2015).

For each query, gallery crops of the same person *and* camera are dropped and so is junk (pid -1); distractors
(pid 0) stay. What is left is ranked by score, ties by gallery position. For the i-th of n hits (from 0) at rank r
(from 0), two average precisions are in use and differ by up to a point of mAP:

* *step* (torchreid, fast-reid, bag of tricks): the mean of ``(i + 1) / (r + 1)``;
* *trapezoid* (Market's own script): the mean of ``((i + 1) / (r + 1) + p) / 2``, where p is ``i / r``, or 1 at r = 0.

Queries without a hit are left out of every mean; `num_valid_queries` says how many counted.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.errors import VectorError
from reid.evaluation.labels import JUNK_PID, PeopleLabels

PROTOCOL = "Market-1501, single query: same person and camera dropped, junk dropped, distractors kept"
_CHUNK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class RetrievalResult:
    """Per query, each (Q,): rank of the first hit (from 0) and both average precisions; -1 and nan without a hit."""

    first_hit_rank: NDArray[np.int64]
    ap_step: NDArray[np.float64]
    ap_trapezoid: NDArray[np.float64]
    num_gallery: int

    @property
    def num_queries(self) -> int:
        """Queries asked."""
        return len(self.first_hit_rank)

    @property
    def num_valid_queries(self) -> int:
        """Queries with at least one true match in the gallery: those that the means are over."""
        return int((self.first_hit_rank >= 0).sum())

    def rank(self, k: int) -> float:
        """Rank-k: the share of valid queries with a true match among the first k. Raises ``ValueError`` for k < 1."""
        if k < 1:
            raise ValueError(f"expected k of at least 1, got {k}")
        valid = self.first_hit_rank[self.first_hit_rank >= 0]
        return float((valid < k).mean())

    @property
    def mean_ap(self) -> float:
        """Mean of the step average precision, a fraction."""
        return float(np.nanmean(self.ap_step))

    @property
    def mean_ap_trapezoid(self) -> float:
        """Mean of the trapezoid average precision, a fraction."""
        return float(np.nanmean(self.ap_trapezoid))


def average_precision(hit_ranks: NDArray[np.int64]) -> tuple[float, float]:
    """Step and trapezoid average precision of one query's hits at these ranks, (n,) rising from 0, n ≥ 1.

    >>> average_precision(np.array([0, 2]))  # (1/1 + 2/3) / 2, and ((1 + 1)/2 + (2/3 + 1/2)/2) / 2
    (0.8333333333333333, 0.7916666666666666)
    """
    hits_so_far = np.arange(1, len(hit_ranks) + 1)
    after = hits_so_far / (hit_ranks + 1)
    before = np.where(hit_ranks == 0, 1.0, (hits_so_far - 1) / np.maximum(hit_ranks, 1))
    return float(after.mean()), float(((after + before) / 2).mean())


def evaluate_retrieval(
    query: NDArray[np.float32],
    gallery: NDArray[np.float32],
    query_labels: PeopleLabels,
    gallery_labels: PeopleLabels,
) -> RetrievalResult:
    """Rank a (G, D) gallery for each of (Q, D) queries, both unit rows, in bounded memory.

    Raises :class:`VectorError` on vectors that are not finite or not of unit length, ``ValueError`` on shapes that
    do not fit and when no query has a true match.
    """
    _check(query, query_labels, "query")
    _check(gallery, gallery_labels, "gallery")
    if query.shape[1] != gallery.shape[1]:
        raise ValueError(f"expected vectors of one length, got {query.shape[1]} and {gallery.shape[1]}")
    kept = gallery_labels.pids != JUNK_PID
    gallery, gallery_labels = gallery[kept], gallery_labels[kept]
    ranks = [_hit_ranks(scores, labels, gallery_labels) for scores, labels in _score_rows(query, gallery, query_labels)]
    if not any(len(hits) for hits in ranks):
        raise ValueError("expected at least one query with a true match on another camera, got none")
    precisions = np.array([average_precision(hits) if len(hits) else (np.nan, np.nan) for hits in ranks])
    first = np.array([hits[0] if len(hits) else -1 for hits in ranks], dtype=np.int64)
    return RetrievalResult(first, precisions[:, 0], precisions[:, 1], num_gallery=len(gallery))


def _check(vectors: NDArray[np.float32], labels: PeopleLabels, name: str) -> None:
    if vectors.ndim != 2 or len(vectors) != len(labels):
        raise ValueError(f"expected {name} vectors ({len(labels)}, D), one per label, got {vectors.shape}")
    norms = np.linalg.norm(vectors, axis=1)
    if not np.allclose(norms, 1.0, atol=1e-3):
        worst = int(np.argmax(np.abs(norms - 1.0)))
        raise VectorError(f"expected {name} rows of unit length, but row {worst} has length {norms[worst]}")


def _score_rows(
    query: NDArray[np.float32], gallery: NDArray[np.float32], labels: PeopleLabels
) -> Iterator[tuple[NDArray[np.float32], tuple[int, int]]]:
    """Each query's (G,) scores with its (pid, camid), computed a chunk of queries at a time."""
    chunk = max(1, _CHUNK_BYTES // (4 * max(1, len(gallery))))
    for start in range(0, len(query), chunk):
        scores = query[start : start + chunk] @ gallery.T
        pairs = zip(labels.pids[start : start + chunk], labels.camids[start : start + chunk], strict=True)
        for row, (pid, camid) in zip(scores, pairs, strict=True):
            yield row, (int(pid), int(camid))


def _hit_ranks(scores: NDArray[np.float32], label: tuple[int, int], gallery: PeopleLabels) -> NDArray[np.int64]:
    """Ranks (from 0) of the true matches; only they are ranked, by counting what scores above each."""
    pid, camid = label
    same_pid = np.flatnonzero(gallery.pids == pid)
    own_camera = gallery.camids[same_pid] == camid
    hits = same_pid[~own_camera]
    scores[same_pid[own_camera]] = -np.inf
    hits = hits[np.argsort(-scores[hits], kind="stable")]
    levels = scores[hits, None]
    above: NDArray[np.int64] = np.count_nonzero(scores > levels, axis=1)
    at_or_above = np.count_nonzero(scores >= levels, axis=1)
    for tied in np.flatnonzero(at_or_above > above + 1):
        above[tied] += np.count_nonzero(scores[: hits[tied]] == scores[hits[tied]])
    return above
