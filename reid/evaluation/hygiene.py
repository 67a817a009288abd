"""What a gallery's own vectors say about its labels: crops out of place, people who look alike, the same crop twice."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.labels import DISTRACTOR_PID, PeopleLabels
from reid.evaluation.scores import check_vectors, score_blocks

NEAR_DUPLICATE_SCORE = 0.99


@dataclass(frozen=True)
class Outlier:
    """The crop `row` is less like the mean of its person's other crops (`own_score`) than like `other_pid`'s mean."""

    row: int
    own_score: float
    other_pid: int
    other_score: float


@dataclass(frozen=True)
class LookAlikes:
    """Two people and the cosine of their mean vectors."""

    pid: int
    other_pid: int
    score: float


@dataclass(frozen=True)
class NearDuplicates:
    """Two crops, `row` before `other_row`, with a score of at least `NEAR_DUPLICATE_SCORE`."""

    row: int
    other_row: int
    score: float
    same_person: bool


@dataclass(frozen=True)
class Hygiene:
    """The worst few of each kind, worst first, and how many there are in all."""

    outliers: tuple[Outlier, ...]
    num_outliers: int
    look_alikes: tuple[LookAlikes, ...]
    near_duplicates: tuple[NearDuplicates, ...]
    num_near_duplicates: int
    num_near_duplicates_across_people: int


def examine(gallery: NDArray[np.float32], labels: PeopleLabels, *, limit: int = 10) -> Hygiene:
    """Examine (G, D) unit rows; junk and distractors are passed over. Lists hold at most `limit` entries.

    Raises as :func:`~reid.evaluation.scores.check_vectors`, and ``ValueError`` with fewer than 2 people.
    """
    check_vectors(gallery, labels, "gallery")
    rows = np.flatnonzero(labels.pids > DISTRACTOR_PID)
    people, owner = np.unique(labels.pids[rows], return_inverse=True)
    if len(people) < 2:
        raise ValueError(f"expected crops of at least 2 people, got {len(people)}")
    vectors = gallery[rows]
    sums = np.zeros((len(people), gallery.shape[1]), dtype=np.float32)
    np.add.at(sums, owner, vectors)
    outliers = _outliers(vectors, owner, sums, people)
    across, same = _near_duplicates(vectors, owner, limit)
    return Hygiene(
        outliers=tuple(Outlier(int(rows[o.row]), o.own_score, o.other_pid, o.other_score) for o in outliers[:limit]),
        num_outliers=len(outliers),
        look_alikes=_look_alikes(_unit(sums), people, limit),
        # Those of different people first: their labels contradict each other.
        near_duplicates=tuple(
            NearDuplicates(int(rows[i]), int(rows[j]), score, same_person=kind is same)
            for kind in (across, same)
            for i, j, score in kind.best
        )[:limit],
        num_near_duplicates=across.count + same.count,
        num_near_duplicates_across_people=across.count,
    )


class _BestPairs:
    """Counts pairs of rows, and keeps the few with the highest scores, highest first."""

    def __init__(self, limit: int) -> None:
        self.count = 0
        self.best: list[tuple[int, int, float]] = []
        self._limit = limit

    def add(self, start: int, scores: NDArray[np.float32], chosen: NDArray[np.bool_]) -> None:
        """Take the `chosen` cells of (B, N) scores whose first row is `start`."""
        cells = np.flatnonzero(chosen)
        self.count += len(cells)
        if len(cells) > self._limit:
            falling = -scores.ravel()[cells]
            cells = cells[np.sort(np.argpartition(falling, self._limit)[: self._limit])]
        rows, columns = np.divmod(cells, scores.shape[1])
        found = zip((rows + start).tolist(), columns.tolist(), scores.ravel()[cells].tolist(), strict=True)
        self.best = sorted([*self.best, *found], key=lambda pair: -pair[2])[: self._limit]


def _outliers(
    vectors: NDArray[np.float32], owner: NDArray[np.int64], sums: NDArray[np.float32], people: NDArray[np.int64]
) -> list[Outlier]:
    """By how much another person is nearer, most first; a person's only crop has nothing to differ from."""
    own = np.einsum("nd,nd->n", vectors, _unit(sums[owner] - vectors))
    has_others = np.bincount(owner)[owner] > 1
    found = []
    for block, scores in score_blocks(vectors, _unit(sums)):
        scores[np.arange(len(scores)), owner[block]] = -np.inf
        nearest = scores.argmax(axis=1)
        best = scores[np.arange(len(scores)), nearest]
        for i in np.flatnonzero(has_others[block] & (best > own[block])):
            row = block.start + int(i)
            found.append(Outlier(row, float(own[row]), int(people[nearest[i]]), float(best[i])))
    return sorted(found, key=lambda outlier: outlier.own_score - outlier.other_score)


def _look_alikes(means: NDArray[np.float32], people: NDArray[np.int64], limit: int) -> tuple[LookAlikes, ...]:
    pairs = _BestPairs(limit)
    for block, scores in score_blocks(means, means):
        pairs.add(block.start, scores, _later(block, len(means)))
    return tuple(LookAlikes(int(people[i]), int(people[j]), score) for i, j, score in pairs.best)


def _near_duplicates(
    vectors: NDArray[np.float32], owner: NDArray[np.int64], limit: int
) -> tuple[_BestPairs, _BestPairs]:
    """Pairs across people, and pairs of one person."""
    across, same = _BestPairs(limit), _BestPairs(limit)
    for block, scores in score_blocks(vectors, vectors):
        alike = (scores >= NEAR_DUPLICATE_SCORE) & _later(block, len(vectors))
        one_person = owner[block, None] == owner
        across.add(block.start, scores, alike & ~one_person)
        same.add(block.start, scores, alike & one_person)
    return across, same


def _later(block: slice, num_rows: int) -> NDArray[np.bool_]:
    """(B, N): which rows come after each row of the block, so that each pair is met once."""
    later: NDArray[np.bool_] = np.arange(num_rows) > np.arange(block.start, block.stop)[:, None]
    return later


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of unit length; zero stays zero, and is like nobody."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    unit: NDArray[np.float32] = rows / lengths
    return unit
