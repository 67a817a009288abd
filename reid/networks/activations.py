"""Activation functions by their standard names: torch's own where it has them, small modules where not.

A function acts on each element of a tensor of any shape, unless its docstring says otherwise. Slopes and saturation of
all of them are drawn by `reid-trainer explain activations`.
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn


def swish(inputs: torch.Tensor, beta: float | torch.Tensor = 1.0) -> torch.Tensor:
    """``x · σ(βx)`` (Ramachandran et al. 2017): x/2 for β = 0, ReLU for β → ∞; slope −0.0998…1.0998 for β = 1."""
    return inputs * torch.sigmoid(beta * inputs)


class ParametricSwish(nn.Module):
    """:func:`swish` whose β is learnt, one for all elements, from 1 on."""

    def __init__(self) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.ones(()))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(…) → (…)."""
        return swish(inputs, self.beta)


class RadialBasis(nn.Module):
    """``exp(−γ (x − c)²)`` (Broomhead and Lowe 1988), centre c and width γ > 0 learnt: near 0 away from its centre.

    γ is kept as a softplus of its parameter, so that no step can make it negative.
    """

    def __init__(self) -> None:
        super().__init__()
        self.centre = nn.Parameter(torch.zeros(()))
        self.raw_width = nn.Parameter(torch.log(torch.expm1(torch.ones(()))))  # softplus of it is 1

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(…) → (…), in (0, 1]."""
        return torch.exp(-F.softplus(self.raw_width) * (inputs - self.centre).square())


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "celu": nn.CELU,
    "celu_half": partial(nn.CELU, alpha=0.5),
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "hard_swish": nn.Hardswish,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
    "mish": nn.Mish,
    "parametric_relu": nn.PReLU,
    "parametric_swish": ParametricSwish,
    "radial_basis": RadialBasis,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "swish": nn.SiLU,
    "tanh": nn.Tanh,
}
"""Everything that keeps a tensor's shape and needs no arguments; :class:`Maxout` changes it, :class:`LowRank` too."""


class Maxout(nn.Module):
    """``max_k (W_k x + b_k)`` (Goodfellow et al. 2013): (…, in_features) → (…, out_features), convex and never flat."""

    def __init__(self, in_features: int, out_features: int, pieces: int = 2) -> None:
        """Raise ``ValueError`` with fewer than 2 pieces, which would be a linear layer."""
        super().__init__()
        if pieces < 2:
            raise ValueError(f"expected at least 2 pieces, got {pieces}")
        self.pieces = pieces
        self.linear = nn.Linear(in_features, out_features * pieces)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(…, in_features) → (…, out_features)."""
        pieces: torch.Tensor = self.linear(inputs)
        return pieces.view(*inputs.shape[:-1], -1, self.pieces).amax(dim=-1)


class LowRank(nn.Module):
    """``V (U x) + b``, no activation between: a linear layer of rank r with r · (in + out) weights, not in · out.

    Two layers "without an activation" are one linear map; that is of use where r is below both sides.
    """

    def __init__(self, in_features: int, out_features: int, rank: int) -> None:
        """Raise ``ValueError`` for a rank that no matrix of this shape has."""
        super().__init__()
        if not 1 <= rank <= min(in_features, out_features):
            raise ValueError(f"expected a rank of 1 to {min(in_features, out_features)}, got {rank}")
        self.inner = nn.Linear(in_features, rank, bias=False)
        self.outer = nn.Linear(rank, out_features)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(…, in_features) → (…, out_features)."""
        outputs: torch.Tensor = self.outer(self.inner(inputs))
        return outputs
