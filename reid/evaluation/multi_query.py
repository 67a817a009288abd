"""Several crops of one person on one camera, asked as one query."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.labels import PeopleLabels
from reid.evaluation.scores import check_vectors


class Pooling(StrEnum):
    """How several vectors become one: their mean, or the greatest of each component (Zheng et al. 2015, 5.2)."""

    MEAN = "mean"
    MAX = "max"


def pool_queries(
    query: NDArray[np.float32], labels: PeopleLabels, pooling: Pooling
) -> tuple[NDArray[np.float32], PeopleLabels]:
    """(Q, D) unit rows → one unit row per person and camera, (P, D), ordered by pid and camid, with their labels.

    >>> rows = np.array([[1, 0], [0, 1]], dtype=np.float32)
    >>> pool_queries(rows, PeopleLabels(np.array([7, 7]), np.array([1, 1])), Pooling.MEAN)[0].round(4)
    array([[0.7071, 0.7071]], dtype=float32)

    The tracklet is lost: use the rule `same-camera`. Raises as :func:`~reid.evaluation.scores.check_vectors`, and
    ``ValueError`` when the pooled vector is zero (opposite vectors have no mean direction).
    """
    check_vectors(query, labels, "query")
    order = np.lexsort((labels.camids, labels.pids))
    pids, camids = labels.pids[order], labels.camids[order]
    new = np.ones(len(order), dtype=np.bool_)
    new[1:] = (np.diff(pids) != 0) | (np.diff(camids) != 0)
    starts = np.flatnonzero(new)
    combine = np.add if pooling is Pooling.MEAN else np.maximum
    pooled: NDArray[np.float32] = combine.reduceat(query[order], starts, axis=0)
    lengths = np.linalg.norm(pooled, axis=1, keepdims=True)
    if not lengths.all():
        where = starts[int(np.flatnonzero(lengths[:, 0] == 0)[0])]
        raise ValueError(f"expected vectors that pool to a direction, got zero for person {pids[where]}")
    return pooled / lengths, PeopleLabels(pids[starts], camids[starts])
