"""Who, where, and in which run of sightings: the labels that decide which comparisons count."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

JUNK_PID = -1
DISTRACTOR_PID = 0


class Exclude(StrEnum):
    """Which crops of the query's own person are left out of its ranking, because finding them proves nothing.

    `same-camera` (Market-1501's rule): those of the query's camera. `same-tracklet`: only those of the query's own
    tracklet, so that the same camera on another occasion counts; it needs tracklets, and suits a single camera.
    """

    SAME_CAMERA = "same-camera"
    SAME_TRACKLET = "same-tracklet"


@dataclass(frozen=True)
class PeopleLabels:
    """`pids` and `camids`, both (N,) int64, and `tracklets` alike where known (a number per person, camera and run).

    Junk is pid -1, a distractor pid 0 (Market-1501's rules).
    """

    pids: NDArray[np.int64]
    camids: NDArray[np.int64]
    tracklets: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        """Raise ``ValueError`` unless all are one-dimensional and of one length."""
        if self.pids.ndim != 1 or self.pids.shape != self.camids.shape:
            raise ValueError(
                f"expected pids and camids of one length (N,), got {self.pids.shape} and {self.camids.shape}"
            )
        if self.tracklets is not None and self.tracklets.shape != self.pids.shape:
            raise ValueError(f"expected a tracklet per pid, {self.pids.shape}, got {self.tracklets.shape}")

    def __len__(self) -> int:
        return len(self.pids)

    def __getitem__(self, rows: slice | NDArray[np.bool_] | NDArray[np.int64]) -> "PeopleLabels":
        tracklets = None if self.tracklets is None else self.tracklets[rows]
        return PeopleLabels(self.pids[rows], self.camids[rows], tracklets)

    def without_junk(self) -> NDArray[np.bool_]:
        """(N,) mask of all but junk."""
        kept: NDArray[np.bool_] = self.pids != JUNK_PID
        return kept


@dataclass(frozen=True)
class SamePersonPairs:
    """All pairs of a query and a gallery crop of its person, by query and then by gallery position.

    `queries` and `gallery` (P,) int64 are row numbers, `excluded` (P,) bool says which pairs the rule leaves out.
    """

    queries: NDArray[np.int64]
    gallery: NDArray[np.int64]
    excluded: NDArray[np.bool_]

    def of_queries(self, rows: slice) -> "SamePersonPairs":
        """The pairs of the queries in `rows` (start and stop given), these renumbered from 0."""
        start, stop = np.searchsorted(self.queries, [rows.start, rows.stop])
        return SamePersonPairs(
            self.queries[start:stop] - rows.start, self.gallery[start:stop], self.excluded[start:stop]
        )

    @property
    def hits(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Query and gallery rows of the pairs that count as true matches."""
        return self.queries[~self.excluded], self.gallery[~self.excluded]


def same_person_pairs(query: PeopleLabels, gallery: PeopleLabels, exclude: Exclude) -> SamePersonPairs:
    """Find them without comparing everyone with everyone.

    Raises ``ValueError`` when a query is junk or a distractor, or when the rule needs tracklets that are not there.
    """
    if len(query) and query.pids.min() <= DISTRACTOR_PID:
        raise ValueError(f"expected queries of people (pid of at least 1), got pid {query.pids.min()}")
    order = np.argsort(gallery.pids, kind="stable")
    first, last = (np.searchsorted(gallery.pids[order], query.pids, side) for side in ("left", "right"))
    counts = last - first
    queries = np.repeat(np.arange(len(query)), counts)
    within = np.arange(len(queries)) - np.repeat(np.cumsum(counts) - counts, counts)
    positions = order[np.repeat(first, counts) + within]
    return SamePersonPairs(queries, positions, _excluded(query[queries], gallery[positions], exclude))


def _excluded(query: PeopleLabels, gallery: PeopleLabels, exclude: Exclude) -> NDArray[np.bool_]:
    same_camera: NDArray[np.bool_] = query.camids == gallery.camids
    if exclude is Exclude.SAME_CAMERA:
        return same_camera
    if query.tracklets is None or gallery.tracklets is None:
        raise ValueError(f"expected tracklets for the rule {exclude.value!r}, got labels without")
    same_tracklet: NDArray[np.bool_] = same_camera & (query.tracklets == gallery.tracklets)
    return same_tracklet
