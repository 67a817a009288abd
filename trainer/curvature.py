"""How sharp the loss is where training starts, and what a learning rate will do there.

With λ₀ the largest curvature (the top eigenvalue of the loss's Hessian) at the start, Lewkowycz et al. 2020, "The large
learning rate phase of deep learning: the catapult mechanism" (arXiv 2003.02218), tell three phases of plain gradient
descent apart: *lazy* below 2/λ₀, *catapult* up to about 12/λ₀ for ReLU networks (the loss first grows, then the
curvature falls and flatter minima follow), *divergent* beyond.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

_LAZY = 2.0
_CATAPULT = 12.0


@dataclass(frozen=True)
class Curvature:
    """The largest curvature λ₀, and how far the last iteration still moved it (a share)."""

    largest: float
    last_change: float

    @property
    def lazy_below(self) -> float:
        """The learning rate 2/λ₀."""
        return _LAZY / self.largest

    @property
    def divergent_above(self) -> float:
        """The learning rate 12/λ₀, measured by the paper on ReLU networks."""
        return _CATAPULT / self.largest

    def phase(self, learning_rate: float) -> str:
        """`lazy`, `catapult` or `divergent`.

        >>> [Curvature(10.0, 0.0).phase(rate) for rate in (0.1, 0.5, 2.0)]
        ['lazy', 'catapult', 'divergent']
        """
        if learning_rate < self.lazy_below:
            return "lazy"
        return "catapult" if learning_rate <= self.divergent_above else "divergent"


def largest_curvature(
    loss: Callable[[], torch.Tensor],
    parameters: Sequence[torch.Tensor],
    shares: Sequence[float],
    *,
    iterations: int = 30,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> Curvature:
    """λ₀ by power iteration on Hessian-vector products.

    `loss` is computed anew, on the same batch, for each product. `shares` are each parameter's share of the learning
    rate: what matters to descent with rates η·s is the spectrum of S^½ H S^½. Stops when λ₀ moves by less than
    `tolerance`, as a share, or after `iterations`. Raises ``ValueError`` when the loss is flat (λ₀ ≤ 0), where no
    rate is too large.
    """
    roots = [share**0.5 for share in shares]

    def scaled_product(vector: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        product = _hessian_product(loss, parameters, [root * part for root, part in zip(roots, vector, strict=True)])
        return [root * part for root, part in zip(roots, product, strict=True)]

    start = _random_direction(parameters, seed)
    curvature = _dominant(scaled_product, start, 0.0, iterations, tolerance)
    if curvature.largest < 0:  # a saddle whose steepest direction falls: look above it
        curvature = _dominant(scaled_product, start, curvature.largest, iterations, tolerance)
    if curvature.largest <= 0:
        raise ValueError(f"expected a loss that curves upwards, got a largest curvature of {curvature.largest:.3g}")
    return curvature


def _dominant(
    product: Callable[[Sequence[torch.Tensor]], Sequence[torch.Tensor]],
    vector: list[torch.Tensor],
    shift: float,
    iterations: int,
    tolerance: float,
) -> Curvature:
    """The eigenvalue farthest from `shift`, by power iteration on the matrix less `shift` times the identity."""
    estimate, change = 0.0, float("inf")
    for _ in range(iterations):
        image = [part - shift * own for part, own in zip(product(vector), vector, strict=True)]
        before, estimate = estimate, sum(float((a * b).sum()) for a, b in zip(vector, image, strict=True))
        change = abs(estimate - before) / max(abs(estimate), 1e-30)
        vector = _unit(image)
        if change < tolerance:
            break
    return Curvature(estimate + shift, change)


def _random_direction(parameters: Sequence[torch.Tensor], seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return _unit([torch.randn(parameter.shape, generator=generator).to(parameter.device) for parameter in parameters])


def _hessian_product(
    loss: Callable[[], torch.Tensor], parameters: Sequence[torch.Tensor], vector: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    gradients = torch.autograd.grad(loss(), parameters, create_graph=True)
    along = sum((gradient * part).sum() for gradient, part in zip(gradients, vector, strict=True))
    assert isinstance(along, torch.Tensor)
    return torch.autograd.grad(along, parameters)


def _unit(vector: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    norm = torch.stack([part.square().sum() for part in vector]).sum().sqrt().clamp(min=1e-30)
    return [part / norm for part in vector]
