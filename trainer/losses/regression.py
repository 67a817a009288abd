"""Losses of values against values, of any one shape, and what is added to a loss: the lecture's."""

from collections.abc import Iterable

import torch

_EPSILON = 1e-7


def squared_error(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """``mean (p − t)²``. With a sigmoid before it, its gradient carries σ′ and dies where the sigmoid saturates."""
    return (predicted - target).square().mean()


def absolute_error(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """``mean |p − t|``: its minimum is the median, so a few wild targets do not drag it."""
    return (predicted - target).abs().mean()


def squared_logarithmic_error(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """``mean (log(1 + p) − log(1 + t))²`` of values above −1: errors count by ratio, for sizes that span decades.

    Raises ``ValueError`` for values of −1 and below, which have no logarithm.
    """
    if min(predicted.min(), target.min()) <= -1:
        raise ValueError("expected values above -1 for a logarithmic error")
    return (predicted.log1p() - target.log1p()).square().mean()


def absolute_percentage_error(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """``100 · mean |p − t| / max(|t|, 1e-7)``, in percent."""
    return 100 * ((predicted - target).abs() / target.abs().clamp(min=_EPSILON)).mean()


def regularised(loss: torch.Tensor, parameters: Iterable[torch.Tensor], weight: float, power: int = 2) -> torch.Tensor:
    """``loss + λ Σ |w|^power``: L2 for 2 (gradient 2λw), L1 for 1 (gradient ±λ, which makes zeros)."""
    return loss + weight * sum((parameter.abs() ** power).sum() for parameter in parameters)
