"""Losses of class probabilities (B, L) against one-hot or soft targets (B, L): the action study's, as Keras has them.

Probabilities are clipped to [1e-7, 1 - 1e-7], as Keras does, so that a zero costs much and not everything. On one-hot
targets the three entropies are one function.
"""

from collections.abc import Callable

import torch

_EPSILON = 1e-7
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def categorical_cross_entropy(probabilities: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """``mean_b −Σ_l t log p``."""
    return -(targets * _clipped(probabilities).log()).sum(dim=1).mean()


def sparse_categorical_cross_entropy(probabilities: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """``mean_b −log p[label]`` for labels (B,) int64."""
    return -_clipped(probabilities).gather(1, labels[:, None]).log().mean()


def categorical_focal(
    probabilities: torch.Tensor, targets: torch.Tensor, alpha: float = 0.25, gamma: float = 2.0
) -> torch.Tensor:
    """``mean_b Σ_l α (1 − p)^γ · −t log p`` (Lin et al. 2017): what is already right weighs little."""
    clipped = _clipped(probabilities)
    return -(alpha * (1 - clipped) ** gamma * targets * clipped.log()).sum(dim=1).mean()


def categorical_hinge(probabilities: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """``mean_b max(0, 1 + max_{l wrong} p − p_true)``, on probabilities as Keras has it: at best 0, at p_true = 1."""
    true = (targets * probabilities).sum(dim=1)
    wrong = ((1 - targets) * probabilities).amax(dim=1)
    return (1 + wrong - true).clamp(min=0).mean()


def kl_divergence(probabilities: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """``mean_b Σ_l t log(t / p)``: cross-entropy less the targets' own entropy."""
    clipped = targets.clamp(_EPSILON, 1)
    return (clipped * (clipped / _clipped(probabilities)).log()).sum(dim=1).mean()


PROBABILITY_LOSSES: dict[str, Loss] = {
    "categorical_cross_entropy": categorical_cross_entropy,
    "categorical_focal": categorical_focal,
    "categorical_hinge": categorical_hinge,
    "kl_divergence": kl_divergence,
    "sparse_categorical_cross_entropy": lambda p, t: sparse_categorical_cross_entropy(p, t.argmax(dim=1)),
}
"""By name, each of probabilities and one-hot targets."""


def _clipped(probabilities: torch.Tensor) -> torch.Tensor:
    return probabilities.clamp(_EPSILON, 1 - _EPSILON)
