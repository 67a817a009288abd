"""How well labels are told apart: pure functions of true labels and scores."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BINS = 10
_Z95 = 1.959963984540054

Labels = NDArray[np.int64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class ClassRates:
    """One label against all others, from the counts TP, TN, FP, FN; 0 where nothing was there to count."""

    true_positive_rate: float
    true_negative_rate: float
    false_positive_rate: float
    false_negative_rate: float
    precision: float
    f1: float

    @property
    def recall(self) -> float:
        """Another name of the true-positive rate."""
        return self.true_positive_rate


def confusion_matrix(truth: Labels, predicted: Labels, num_labels: int) -> Counts:
    """(L, L) counts: a row a true label, a column a predicted one. Raises ``ValueError`` for labels outside 0…L-1.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    if len(truth) != len(predicted):
        raise ValueError(f"expected as many predictions as labels, got {len(predicted)} and {len(truth)}")
    both = np.concatenate([truth, predicted])
    if len(both) and not 0 <= both.min() <= both.max() < num_labels:
        raise ValueError(f"expected labels of 0 to {num_labels - 1}, got {both.min()} to {both.max()}")
    return np.bincount(truth * num_labels + predicted, minlength=num_labels**2).reshape(num_labels, num_labels)


def row_normalised(confusion: Counts) -> NDArray[np.float64]:
    """(L, L) shares of each true label; a row of a label that never came is 0."""
    totals = confusion.sum(axis=1, keepdims=True)
    shares: NDArray[np.float64] = confusion / np.maximum(totals, 1)
    return shares


def accuracy(confusion: Counts) -> float:
    """The share of all that was told right; nan of nothing.

    >>> accuracy(np.array([[3, 1], [0, 4]]))
    0.875
    """
    total = confusion.sum()
    return float(np.trace(confusion) / total) if total else float("nan")


def mean_class_accuracy(confusion: Counts) -> float:
    """The mean recall of the labels that came, each counting the same.

    >>> mean_class_accuracy(np.array([[3, 1], [0, 4]]))
    0.875
    """
    seen = confusion.sum(axis=1) > 0
    return float(np.diag(row_normalised(confusion))[seen].mean())


def class_rates(confusion: Counts, label: int) -> ClassRates:
    """The rates of one label against the others.

    >>> class_rates(np.array([[3, 1], [0, 4]]), 1).precision
    0.8
    """
    tp = int(confusion[label, label])
    fn = int(confusion[label].sum()) - tp
    fp = int(confusion[:, label].sum()) - tp
    tn = int(confusion.sum()) - tp - fn - fp
    return ClassRates(
        true_positive_rate=_share(tp, tp + fn),
        true_negative_rate=_share(tn, tn + fp),
        false_positive_rate=_share(fp, tn + fp),
        false_negative_rate=_share(fn, tp + fn),
        precision=_share(tp, tp + fp),
        f1=_share(2 * tp, 2 * tp + fp + fn),
    )


def top_k_accuracy(truth: Labels, scores: NDArray[np.float32], k: int) -> float:
    """The share whose label is among the `k` best of scores (N, L); equal scores rank in label order.

    >>> top_k_accuracy(np.array([1, 2]), np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], np.float32), 2)
    0.5
    """
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float((best == truth[:, None]).any(axis=1).mean())


def expected_calibration_error(truth: Labels, scores: NDArray[np.float32]) -> float:
    """How far the best score is from the accuracy it promises, over 10 equal bins (Guo et al. 2017).

    ``Σ (bin's share) · |bin's accuracy − bin's mean score|`` of probabilities (N, L).

    >>> expected_calibration_error(np.array([0, 0]), np.array([[0.75, 0.25], [0.25, 0.75]], np.float32))
    0.25
    """
    best = scores.max(axis=1).astype(np.float64)
    right = scores.argmax(axis=1) == truth
    bins = np.minimum((best * _BINS).astype(np.int64), _BINS - 1)
    gaps = np.bincount(bins, weights=right - best, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(truth))


def cross_entropy(truth: Labels, scores: NDArray[np.float32]) -> float:
    """``mean −log p`` of the true label, p of at least 1e-7.

    >>> round(cross_entropy(np.array([0]), np.array([[0.5, 0.5]], np.float32)), 4)
    0.6931
    """
    true = np.take_along_axis(scores, truth[:, None], axis=1).astype(np.float64)
    return float(-np.log(np.maximum(true, 1e-7)).mean())


def wilson_interval(successes: float, trials: float) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927): right at 0 and 1 too, where the usual one has no width.

    Counts may be means of several.

    >>> low, high = wilson_interval(95, 100)
    >>> round(low, 3), round(high, 3)
    (0.888, 0.978)
    """
    if trials < 1:
        raise ValueError(f"expected at least 1 trial, got {trials}")
    share, z2 = successes / trials, _Z95**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z95 * np.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    return float(max(0.0, min(share, centre - half))), float(min(1.0, max(share, centre + half)))  # rounding


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
