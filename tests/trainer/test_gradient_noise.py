import pytest
import torch

from trainer.gradient_noise import add_gradient_noise, noise_deviation


def test_the_noise_fades_as_the_paper_says() -> None:
    assert noise_deviation(0) ** 2 == pytest.approx(1.0)
    assert noise_deviation(99) ** 2 == pytest.approx(1 / 100**0.55)
    assert noise_deviation(3, eta=0.01) ** 2 == pytest.approx(0.01 / 4**0.55)


def test_every_gradient_gets_its_own_noise_of_that_size() -> None:
    with_gradient, without = torch.zeros(20_000, requires_grad=True), torch.zeros(3, requires_grad=True)
    with_gradient.grad = torch.full((20_000,), 5.0)
    add_gradient_noise([with_gradient, without], 99, torch.Generator().manual_seed(0))
    assert with_gradient.grad.mean().item() == pytest.approx(5, abs=0.02)
    assert with_gradient.grad.std().item() == pytest.approx(noise_deviation(99), rel=0.02)
    assert without.grad is None
