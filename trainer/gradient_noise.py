"""Noise on gradients that fades as training goes on (Neelakantan et al. 2015)."""

from collections.abc import Iterable

import torch

ETA = 1.0
DECAY = 0.55


def noise_deviation(step: int, eta: float = ETA, decay: float = DECAY) -> float:
    """σ_t with ``σ_t² = η / (1 + t)^γ``, t from 0.

    >>> noise_deviation(0)
    1.0
    """
    return float((eta / (1 + step) ** decay) ** 0.5)


def add_gradient_noise(
    parameters: Iterable[torch.Tensor], step: int, generator: torch.Generator, eta: float = ETA
) -> None:
    """Add N(0, σ_t²) to every gradient in place; parameters without one are passed over."""
    deviation = noise_deviation(step, eta)
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad += deviation * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
