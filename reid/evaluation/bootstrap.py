"""How far a figure would move with other people: intervals by resampling people (Efron 1979).

Crops of one person stand or fall together, so people are drawn with replacement, each with all of their queries.
Drawing queries or pairs one by one would claim far more certainty than there is.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2_000
LEVEL = 0.95
_WEIGHTS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Interval:
    """The middle `LEVEL` (95 %) of resampled figures, and how many people they were drawn from."""

    low: float
    high: float
    num_people: int


def mean_interval(values: NDArray[np.float64], pids: NDArray[np.int64], *, seed: int = 0) -> Interval:
    """The interval of the mean of (Q,) per-query values; queries with nan are left out, as they are of the mean.

    Two people that differ: their mean may be either's or lie between.

    >>> mean_interval(np.array([0.0, 0.0, 1.0]), np.array([7, 7, 9]))
    Interval(low=0.0, high=1.0, num_people=2)

    Raises ``ValueError`` on shapes that do not fit and with fewer than 2 people.
    """
    if values.ndim != 1 or values.shape != pids.shape:
        raise ValueError(f"expected values and pids of one length (Q,), got {values.shape} and {pids.shape}")
    valid = ~np.isnan(values)
    people, owner = np.unique(pids[valid], return_inverse=True)
    sums, counts = np.bincount(owner, values[valid]), np.bincount(owner)
    means = [draws @ sums / (draws @ counts) for draws in people_draws(len(people), seed)]
    return interval_of(np.concatenate(means), len(people))


def people_draws(num_people: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Yield (R, P) arrays of how often each person is drawn, `RESAMPLES` rows in all, in bounded memory.

    Raises ``ValueError`` with fewer than 2 people.
    """
    if num_people < 2:
        raise ValueError(f"expected at least 2 people to resample, got {num_people}")
    generator = np.random.default_rng(seed)
    rows = max(1, _WEIGHTS_AT_ONCE // num_people)
    chances = np.full(num_people, 1 / num_people)
    for start in range(0, RESAMPLES, rows):
        yield generator.multinomial(num_people, chances, min(rows, RESAMPLES - start)).astype(np.float64)


def interval_of(figures: NDArray[np.float64], num_people: int) -> Interval:
    """The percentile interval of resampled (R,) figures."""
    low, high = np.quantile(figures, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high), num_people)
