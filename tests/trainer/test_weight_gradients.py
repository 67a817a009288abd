import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torchvision.models import resnet18

from trainer.weight_gradients import ProductConv2d, use_products, weight_gradient


@given(
    kernel=st.sampled_from([(1, 1), (3, 3), (3, 1), (5, 5)]),
    stride=st.sampled_from([(1, 1), (2, 2), (2, 1)]),
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    channels_last=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_products_give_the_convolutions_own_gradient(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    size: tuple[int, int],
    padding: tuple[int, int],
    channels_last: bool,
    seed: int,
) -> None:
    generator = torch.Generator().manual_seed(seed)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    images = torch.randn(2, 3, *size, dtype=torch.float64, generator=generator).to(memory_format=layout)
    weight = torch.randn(4, 3, *kernel, dtype=torch.float64, generator=generator, requires_grad=True)
    output = F.conv2d(images, weight, None, stride, padding)
    gradient = torch.randn(output.shape, dtype=torch.float64, generator=generator)
    (expected,) = torch.autograd.grad(output, weight, gradient)
    torch.testing.assert_close(weight_gradient(gradient, images, weight.detach(), stride, padding), expected)


def test_first_and_second_derivatives_are_right() -> None:
    """`lr-range` needs the second."""
    torch.manual_seed(0)
    conv = ProductConv2d(nn.Conv2d(16, 2, 3, 2, 1, bias=False).double())
    images = torch.randn(1, 16, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(conv, images)
    assert torch.autograd.gradgradcheck(conv, images)


def test_a_network_keeps_its_weights_and_its_gradients() -> None:
    torch.manual_seed(0)
    plain = resnet18().double().train()  # of so few images batch norm makes much of what float32 rounds
    changed = resnet18().double().train()
    changed.load_state_dict(plain.state_dict())
    parameters = list(changed.parameters())
    use_products(changed)
    assert sum(isinstance(module, ProductConv2d) for module in changed.modules()) == 19  # all but the first
    assert [id(parameter) for parameter in changed.parameters()] == [id(parameter) for parameter in parameters]
    assert changed.state_dict().keys() == plain.state_dict().keys()
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    for network in (plain, changed):
        network(images).square().sum().backward()
    for (name, expected), found in zip(plain.named_parameters(), changed.parameters(), strict=True):
        assert expected.grad is not None
        torch.testing.assert_close(found.grad, expected.grad, rtol=1e-5, atol=1e-8, msg=name)


def test_half_precision_is_that_of_autocast() -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(32, 32, 3, padding=1, bias=False)
    images = torch.randn(2, 32, 8, 4, requires_grad=True)
    results = []
    for conv in (plain, ProductConv2d(plain)):
        plain.weight.grad = images.grad = None
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = conv(images)
        assert output.dtype == torch.bfloat16
        output.float().square().sum().backward()
        assert plain.weight.grad is not None
        assert images.grad is not None
        results.append((plain.weight.grad, images.grad))
    for expected, found in zip(*results, strict=True):
        assert found.dtype == torch.float32
        assert F.cosine_similarity(found.flatten(), expected.flatten(), dim=0) > 0.9999


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(16, 16, 3, groups=16, bias=False),
        nn.Conv2d(16, 16, 3, dilation=2, bias=False),
        nn.Conv2d(16, 16, 3),
        nn.Conv2d(16, 16, 3, padding="same", bias=False),
        nn.Conv2d(3, 16, 3, bias=False),
    ],
)
def test_what_it_cannot_stand_for_is_left_alone(conv: nn.Conv2d) -> None:
    model = nn.Sequential(conv)
    use_products(model)
    assert model[0] is conv
