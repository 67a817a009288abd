"""The retrieval protocol as one would write it on a blackboard: a loop per query over its sorted gallery."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.labels import Exclude, PeopleLabels


@dataclass(frozen=True)
class OracleResult:
    """Means over queries with a hit, as Python floats."""

    rank_k: dict[int, float]
    mean_ap: float
    mean_ap_trapezoid: float
    mean_inp: float
    num_valid_queries: int


def slow_retrieval(
    query: NDArray[np.float32],
    gallery: NDArray[np.float32],
    q: PeopleLabels,
    g: PeopleLabels,
    exclude: Exclude = Exclude.SAME_CAMERA,
) -> OracleResult:
    """Sort every query's kept gallery by falling score, then by position, and walk down it."""
    firsts, steps, trapezoids, penalties = [], [], [], []
    scores = query @ gallery.T
    for i in range(len(query)):
        kept = [j for j in range(len(gallery)) if g.pids[j] != -1 and not is_excluded(q, i, g, j, exclude)]
        ranked = sorted(kept, key=lambda j: (-scores[i, j], j))
        hits = [rank for rank, j in enumerate(ranked) if g.pids[j] == q.pids[i]]
        if not hits:
            continue
        firsts.append(hits[0])
        steps.append(math.fsum((n + 1) / (rank + 1) for n, rank in enumerate(hits)) / len(hits))
        trapezoids.append(math.fsum(_trapezoid(n, rank) for n, rank in enumerate(hits)) / len(hits))
        penalties.append(len(hits) / (hits[-1] + 1))
    valid = len(firsts)
    return OracleResult(
        {k: sum(first < k for first in firsts) / valid for k in (1, 2, 5, 10)} if valid else {},
        math.fsum(steps) / valid if valid else math.nan,
        math.fsum(trapezoids) / valid if valid else math.nan,
        math.fsum(penalties) / valid if valid else math.nan,
        valid,
    )


def is_excluded(q: PeopleLabels, i: int, g: PeopleLabels, j: int, exclude: Exclude) -> bool:
    """Whether the rule leaves gallery crop j out of query i's ranking."""
    same = bool(q.pids[i] == g.pids[j] and q.camids[i] == g.camids[j])
    if exclude is Exclude.SAME_CAMERA:
        return same
    assert q.tracklets is not None
    assert g.tracklets is not None
    return same and bool(q.tracklets[i] == g.tracklets[j])


def _trapezoid(n: int, rank: int) -> float:
    before = n / rank if rank else 1.0
    return ((n + 1) / (rank + 1) + before) / 2
