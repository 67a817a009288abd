import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from trainer.losses.regression import (
    absolute_error,
    absolute_percentage_error,
    regularised,
    squared_error,
    squared_logarithmic_error,
)


def drawn(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    predicted, target = 5 * torch.rand(2, 12, generator=generator, dtype=torch.float64) + 0.1
    return predicted, target


@given(st.integers(0, 500))
def test_every_error_agrees_with_torch_and_scikit_learn(seed: int) -> None:
    predicted, target = drawn(seed)
    assert squared_error(predicted, target).item() == pytest.approx(F.mse_loss(predicted, target).item())
    assert absolute_error(predicted, target).item() == pytest.approx(F.l1_loss(predicted, target).item())
    logarithmic = metrics.mean_squared_log_error(target, predicted)
    assert squared_logarithmic_error(predicted, target).item() == pytest.approx(logarithmic)
    percentage = 100 * metrics.mean_absolute_percentage_error(target, predicted)
    assert absolute_percentage_error(predicted, target).item() == pytest.approx(percentage)


@pytest.mark.parametrize("loss", [squared_error, absolute_error, squared_logarithmic_error, absolute_percentage_error])
def test_slopes_are_right(loss: object) -> None:
    predicted, target = drawn(0)
    assert torch.autograd.gradcheck(lambda p: loss(p, target), predicted.requires_grad_())  # type: ignore[operator]


def test_a_logarithmic_error_counts_by_ratio_and_refuses_what_has_no_logarithm() -> None:
    one, ten, hundred = (torch.tensor([value]) for value in (0.0, 9.0, 99.0))
    assert squared_logarithmic_error(one, ten).item() == pytest.approx(math.log(10) ** 2, rel=1e-5)
    assert squared_logarithmic_error(ten, hundred).item() == pytest.approx(math.log(10) ** 2, rel=1e-5)
    with pytest.raises(ValueError, match="values above -1"):
        squared_logarithmic_error(torch.tensor([-1.0]), one)


def test_a_target_of_zero_does_not_divide_by_zero() -> None:
    assert absolute_percentage_error(torch.tensor([1e-7]), torch.tensor([0.0])).item() == pytest.approx(100)


def test_a_regulariser_pulls_towards_zero() -> None:
    weight = torch.tensor([3.0, -2.0], requires_grad=True)
    value = regularised(torch.tensor(1.0), [weight], 0.1)
    assert value.item() == pytest.approx(1 + 0.1 * 13)
    value.backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    assert weight.grad.tolist() == pytest.approx([0.6, -0.4])
    assert regularised(torch.tensor(1.0), [weight], 0.1, power=1).item() == pytest.approx(1.5)
