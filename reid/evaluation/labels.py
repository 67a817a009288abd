"""Who and where: the labels that decide which comparisons count."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

JUNK_PID = -1
DISTRACTOR_PID = 0


@dataclass(frozen=True)
class PeopleLabels:
    """`pids` and `camids`, both (N,) int64. Junk is pid -1, a distractor pid 0 (Market-1501's rules)."""

    pids: NDArray[np.int64]
    camids: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Raise ``ValueError`` unless both are one-dimensional and of one length."""
        if self.pids.ndim != 1 or self.pids.shape != self.camids.shape:
            raise ValueError(
                f"expected pids and camids of one length (N,), got {self.pids.shape} and {self.camids.shape}"
            )

    def __len__(self) -> int:
        return len(self.pids)

    def __getitem__(self, rows: slice | NDArray[np.bool_] | NDArray[np.int64]) -> "PeopleLabels":
        return PeopleLabels(self.pids[rows], self.camids[rows])


def genuine_and_impostor(query: PeopleLabels, gallery: PeopleLabels) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Two (Q, G) masks: pairs of one person on two cameras, and pairs of different people; junk is in neither."""
    same_pid = query.pids[:, None] == gallery.pids
    real_gallery = gallery.pids != JUNK_PID
    person = query.pids[:, None] > DISTRACTOR_PID
    genuine = same_pid & person & (query.camids[:, None] != gallery.camids)
    impostor = ~same_pid & person & real_gallery
    return genuine, impostor
