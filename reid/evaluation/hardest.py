"""The queries that went worst, and what was found in place of their person."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.labels import Exclude, PeopleLabels, same_person_pairs
from reid.evaluation.retrieval import RetrievalResult


@dataclass(frozen=True)
class HardQuery:
    """A query row, its average precision (step), the rank of its first hit (from 0), and its best matches in order.

    `gallery_rows`, `scores` and `right` (of the query's person) are of one length.
    """

    query_row: int
    average_precision: float
    first_hit_rank: int
    gallery_rows: tuple[int, ...]
    scores: tuple[float, ...]
    right: tuple[bool, ...]


def hardest_queries(
    query: NDArray[np.float32],
    gallery: NDArray[np.float32],
    query_labels: PeopleLabels,
    gallery_labels: PeopleLabels,
    result: RetrievalResult,
    *,
    exclude: Exclude = Exclude.SAME_CAMERA,
    count: int = 10,
    top_k: int = 10,
) -> tuple[HardQuery, ...]:
    """The `count` people whose worst query has the lowest average precision in `result`, that query of each."""
    by_precision = np.argsort(result.ap_step, kind="stable")  # nan, no true match, sorts last
    valid = by_precision[: result.num_valid_queries]
    _, first = np.unique(query_labels.pids[valid], return_index=True)
    rows = valid[np.sort(first)[:count]]
    pairs = same_person_pairs(query_labels[rows], gallery_labels, exclude)
    scores = query[rows] @ gallery.T
    scores[pairs.queries[pairs.excluded], pairs.gallery[pairs.excluded]] = -np.inf
    scores[:, ~gallery_labels.without_junk()] = -np.inf
    best = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
    return tuple(
        _hard_query(result, int(row), own, near, int(query_labels.pids[row]), gallery_labels)
        for row, own, near in zip(rows, scores, best, strict=True)
    )


def _hard_query(
    result: RetrievalResult,
    row: int,
    scores: NDArray[np.float32],
    best: NDArray[np.int64],
    pid: int,
    gallery: PeopleLabels,
) -> HardQuery:
    kept = best[np.isfinite(scores[best])]
    return HardQuery(
        query_row=row,
        average_precision=float(result.ap_step[row]),
        first_hit_rank=int(result.first_hit_rank[row]),
        gallery_rows=tuple(kept.tolist()),
        scores=tuple(scores[kept].tolist()),
        right=tuple((gallery.pids[kept] == pid).tolist()),
    )
