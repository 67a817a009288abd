import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from reid.networks.activations import ACTIVATIONS, LowRank, Maxout, ParametricSwish, RadialBasis, swish

SQRT2 = math.sqrt(2)
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


CLOSED_FORMS = {
    "celu": lambda x: max(0, x) + min(0, math.expm1(x)),
    "celu_half": lambda x: max(0, x) + min(0, math.expm1(x / 0.5) / 2),
    "elu": lambda x: x if x > 0 else math.expm1(x),
    "gelu": lambda x: x * (1 + math.erf(x / SQRT2)) / 2,
    "hard_swish": lambda x: x * min(max(x + 3, 0), 6) / 6,
    "identity": lambda x: x,
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "mish": lambda x: x * math.tanh(math.log1p(math.exp(x))),
    "parametric_relu": lambda x: x if x > 0 else 0.25 * x,
    "parametric_swish": lambda x: x * sigmoid(x),
    "radial_basis": lambda x: math.exp(-x * x),
    "relu": lambda x: max(0, x),
    "relu6": lambda x: min(max(0, x), 6),
    "selu": lambda x: SELU_SCALE * (x if x > 0 else SELU_ALPHA * math.expm1(x)),
    "sigmoid": sigmoid,
    "softplus": lambda x: math.log1p(math.exp(x)),
    "swish": lambda x: x * sigmoid(x),
    "tanh": math.tanh,
}


def test_every_activation_has_its_closed_form_here() -> None:
    assert CLOSED_FORMS.keys() == ACTIVATIONS.keys()


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@given(x=st.floats(-8, 8))
def test_values_are_the_closed_forms(name: str, x: float) -> None:
    value = ACTIVATIONS[name]().double()(torch.tensor([x], dtype=torch.float64)).item()
    assert value == pytest.approx(CLOSED_FORMS[name](x), abs=1e-6)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_slopes_are_the_functions_own(name: str) -> None:
    module = ACTIVATIONS[name]().double()
    inputs = torch.tensor([-2.7, -0.6, 0.3, 1.9, 4.4], dtype=torch.float64, requires_grad=True)  # off the kinks
    assert torch.autograd.gradcheck(module, inputs)
    for parameter in module.parameters():
        assert torch.autograd.gradcheck(
            lambda p, m=module: torch.func.functional_call(m, _named(m, p), inputs), parameter
        )


def _named(module: nn.Module, changed: torch.Tensor) -> dict[str, torch.Tensor]:
    return {name: changed if parameter is changed else parameter for name, parameter in module.named_parameters()}


def test_the_slopes_that_the_lecture_states() -> None:
    """At most 0.25 for the sigmoid, 1 for tanh and ReLU, −0.099…1.0998 for swish."""
    inputs = torch.linspace(-10, 10, 200_001, dtype=torch.float64, requires_grad=True)
    bounds = {"sigmoid": (0, 0.25), "tanh": (0, 1), "relu": (0, 1), "swish": (-0.0998, 1.0998)}
    for name, (low, high) in bounds.items():
        (slopes,) = torch.autograd.grad(ACTIVATIONS[name]()(inputs).sum(), inputs)
        assert slopes.min().item() == pytest.approx(low, abs=1e-4)
        assert slopes.max().item() == pytest.approx(high, abs=1e-4)


def test_swish_reaches_from_half_a_line_to_relu() -> None:
    inputs = torch.linspace(-3, 3, 101)
    assert torch.allclose(swish(inputs, 0.0), inputs / 2)
    assert torch.allclose(swish(inputs, 1e4), F.relu(inputs), atol=1e-3)


def test_parameters_are_learnt() -> None:
    for module in (ParametricSwish(), RadialBasis()):
        before = [parameter.detach().clone() for parameter in module.parameters()]
        optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
        (module(torch.tensor([0.5, 1.5])) - 0.2).square().sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        assert all(not torch.equal(old, new) for old, new in zip(before, module.parameters(), strict=True))


def test_maxout_takes_the_greatest_piece_and_can_be_an_absolute_value() -> None:
    maxout = Maxout(1, 1, pieces=2)
    with torch.no_grad():
        maxout.linear.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        maxout.linear.bias.zero_()
    assert maxout(torch.tensor([[-3.0], [2.0]])).tolist() == [[3.0], [2.0]]
    assert Maxout(5, 7, pieces=3)(torch.zeros(2, 4, 5)).shape == (2, 4, 7)
    with pytest.raises(ValueError, match="at least 2 pieces, got 1"):
        Maxout(1, 1, pieces=1)


def test_a_low_rank_layer_is_one_linear_map_of_that_rank() -> None:
    torch.manual_seed(0)
    layer = LowRank(6, 5, rank=2).double()
    matrix = layer(torch.eye(6, dtype=torch.float64)) - layer.outer.bias
    assert torch.linalg.matrix_rank(matrix) == 2
    inputs = torch.randn(3, 6, dtype=torch.float64)
    assert torch.allclose(layer(inputs), inputs @ matrix + layer.outer.bias)
    assert sum(parameter.numel() for parameter in layer.parameters()) == 2 * (6 + 5) + 5
    with pytest.raises(ValueError, match="a rank of 1 to 5, got 6"):
        LowRank(6, 5, rank=6)
