import pytest
import torch

from trainer.curvature import Curvature, largest_curvature


def test_a_bowl_has_the_curvature_of_its_steepest_axis() -> None:
    axes = torch.tensor([1.0, 5.0, 0.5])
    point = torch.ones(3, requires_grad=True)
    assert largest_curvature(lambda: (axes * point.square()).sum() / 2, [point], [1.0]).largest == pytest.approx(
        5.0, rel=1e-2
    )


def test_a_share_of_the_rate_is_a_share_of_the_curvature() -> None:
    steep, flat = torch.ones(2, requires_grad=True), torch.ones(1, requires_grad=True)

    def loss() -> torch.Tensor:
        return 20 * steep.square().sum() / 2 + 3 * flat.square().sum() / 2

    assert largest_curvature(loss, [steep, flat], [1.0, 1.0]).largest == pytest.approx(20.0, rel=1e-2)
    assert largest_curvature(loss, [steep, flat], [0.1, 1.0]).largest == pytest.approx(3.0, rel=1e-2)


def test_a_network_has_the_top_eigenvalue_of_its_whole_hessian() -> None:
    torch.manual_seed(0)
    inputs, labels = torch.randn(12, 4), torch.randint(0, 3, (12,))
    weights = torch.randn(3, 4).requires_grad_()

    def loss_of(matrix: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(torch.tanh(inputs @ matrix.T), labels)

    hessian = torch.autograd.functional.hessian(loss_of, weights.detach()).reshape(12, 12)
    largest = torch.linalg.eigvalsh(hessian).max().item()
    measured = largest_curvature(lambda: loss_of(weights), [weights], [1.0], iterations=500, tolerance=1e-7)
    assert measured.largest == pytest.approx(largest, rel=1e-3)


def test_descent_behaves_as_the_phase_says() -> None:
    """On a bowl, where theory is exact: below 2/λ₀ the loss falls, above it grows."""
    for rate, falls in ((1.9 / 5, True), (2.1 / 5, False)):
        point = torch.ones(1)
        for _ in range(50):
            point = point - rate * 5 * point
        assert (point.abs().item() < 1) is falls
        assert (Curvature(5.0, 0.0).phase(rate) == "lazy") is falls


def test_a_flat_loss_is_refused() -> None:
    point = torch.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match="expected a loss that curves upwards"):
        largest_curvature(lambda: -point.square().sum(), [point], [1.0])
