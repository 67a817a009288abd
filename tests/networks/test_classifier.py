import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from reid.networks.classifier import ClassifierArguments, ClassifierNetwork


@pytest.mark.parametrize(
    ("name", "flat", "hidden", "first_map"), [("conv_nn_1", 784, 40, (32, 32)), ("conv_nn_2", 256, 32, (30, 30))]
)
def test_the_small_networks_are_the_papers(name: str, flat: int, hidden: int, first_map: tuple[int, int]) -> None:
    body = ClassifierNetwork(ClassifierArguments(name, 2, dropout=0.5)).body
    assert isinstance(body, nn.Sequential)
    kinds = ["ExpectSize", "Conv2d", "MaxPool2d", "ReLU", "Conv2d", "MaxPool2d", "ReLU", "Flatten", "Linear", "ReLU"]
    assert [type(layer).__name__ for layer in body] == [*kinds, "Dropout", "Linear"]
    assert body.conv1(torch.zeros(1, 1, 30, 32)).shape == (1, 8, *first_map)
    assert (body.linear1.in_features, body.linear1.out_features) == (flat, hidden)
    assert (body.linear2.in_features, body.linear2.out_features) == (hidden, 2)
    assert body.dropout.p == 0.5


def test_a_sigmoid_before_cross_entropy_has_the_papers_floor() -> None:
    network = ClassifierNetwork(ClassifierArguments("conv_nn_1", 2, sigmoid=True)).eval()
    outputs = network(torch.rand(3, 1, 30, 32))
    assert ((outputs > 0) & (outputs < 1)).all()
    floor = F.cross_entropy(torch.tensor([[1.0, 0.0]]), torch.tensor([0])).item()
    assert floor == pytest.approx(math.log(1 + math.exp(-1)))
    assert round(floor, 3) == 0.313


def test_another_orientation_is_named() -> None:
    network = ClassifierNetwork(ClassifierArguments("conv_nn_2", 2))
    with pytest.raises(ValueError, match=r"\(channels, height, width\) \(1, 30, 32\), got \(1, 32, 30\)"):
        network(torch.zeros(1, 1, 32, 30))


def test_mobilenet_has_the_labels_and_the_width_asked_for() -> None:
    narrow, wide = (ClassifierNetwork(ClassifierArguments("mobilenet_v3_large", 7, width=w)) for w in (0.35, 1.0))
    assert narrow.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    sizes = [sum(parameter.numel() for parameter in network.parameters()) for network in (narrow, wide)]
    assert sizes[0] < sizes[1] / 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vgg", 2), "expected an architecture of"),
        (("conv_nn_1", 1), "at least 2 labels, got 1"),
        (("conv_nn_1", 2, 0.0), "positive width"),
        (("conv_nn_1", 2, 1.0, 1.0), r"dropout in \[0, 1\)"),
    ],
)
def test_arguments_that_make_no_network_are_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ClassifierArguments(*arguments)  # type: ignore[arg-type]


def test_mobilenets_statistics_follow_within_a_short_training() -> None:
    """After 60 steps on one kind of image, what serves gives what training gave."""
    torch.manual_seed(0)
    network = ClassifierNetwork(ClassifierArguments("mobilenet_v3_large", num_labels=3))
    images = torch.rand(16, 3, 64, 64) * 4 + 2
    with torch.no_grad():
        for _ in range(60):
            network(images)
        norm = next(module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d))
        seen: list[torch.Tensor] = []
        norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        network(images)
    assert norm.running_mean is not None
    assert torch.allclose(norm.running_mean, seen[0].mean((0, 2, 3)), rtol=0.02, atol=1e-3)
