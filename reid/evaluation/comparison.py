"""Is B better than A? Both answered the same queries, so the difference is judged person by person."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.bootstrap import Interval, mean_interval
from reid.evaluation.retrieval import RetrievalResult


@dataclass(frozen=True)
class Comparison:
    """One figure of A and of B on the same queries, and the interval of B − A over other draws of people."""

    metric: str
    a: float
    b: float
    difference: Interval

    @property
    def verdict(self) -> str:
        """`better` or `worse` when the whole interval lies on one side of 0, else `no difference found`."""
        if self.difference.low > 0:
            return "better"
        return "worse" if self.difference.high < 0 else "no difference found"


def compare_results(
    a: RetrievalResult, b: RetrievalResult, pids: NDArray[np.int64], *, seed: int = 0
) -> tuple[Comparison, ...]:
    """Paired bootstrap over people of Rank-1, mAP (step) and mINP; `pids` (Q,) say whose each query is.

    Raises ``ValueError`` when the two did not have the same valid queries and gallery, and with fewer than 2 people.
    """
    if a.num_gallery != b.num_gallery or not np.array_equal(a.first_hit_rank < 0, b.first_hit_rank < 0):
        raise ValueError(
            f"expected two results of the same queries and gallery, got {a.num_valid_queries} valid queries against "
            f"{a.num_gallery} crops and {b.num_valid_queries} against {b.num_gallery}"
        )
    columns = {
        "rank_1": (a.found_within(1), b.found_within(1)),
        "mean_ap": (a.ap_step, b.ap_step),
        "mean_inp": (a.inverse_penalty, b.inverse_penalty),
    }
    return tuple(
        Comparison(
            metric, float(np.nanmean(ours)), float(np.nanmean(theirs)), mean_interval(theirs - ours, pids, seed=seed)
        )
        for metric, (ours, theirs) in columns.items()
    )
