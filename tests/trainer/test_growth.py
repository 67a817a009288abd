"""A ResNet-50 that begins as a ResNet-18: it says the same, and everything in it can learn."""

import dataclasses
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from reid.bundle import SHIPPED, load_network, read_bundle
from reid.errors import RecipeError
from reid.kinds import EMBEDDING
from reid.networks.embedding import EmbeddingArguments, EmbeddingNetwork
from trainer.growth import grow
from trainer.initial_weights import load_initial_weights
from trainer.pixels import load_pixels

DEFAULT = SHIPPED / "default"
SMALL = EmbeddingArguments("resnet18", 1, "linear", 32)
LARGE = dataclasses.replace(SMALL, backbone="resnet50")


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """(64, 3, 64, 32): coarse patterns, as unlike each other as crops are."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(64, 3, 8, 4, generator=generator)
    return F.interpolate(coarse, (64, 32), mode="bilinear") + 0.1 * torch.randn(64, 3, 64, 32, generator=generator)


def trained(images: torch.Tensor) -> EmbeddingNetwork:
    """A ResNet-18 whose norms have statistics and weights of their own, as after a training.

    The one convolution that has no place in a ResNet-50 is one by one already.
    """
    torch.manual_seed(1)
    network = EmbeddingNetwork(SMALL)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(-0.5, 1.5)
                module.bias.normal_(0.0, 0.5)
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.momentum = None  # the statistics become those of the images
        network.backbone.layer1[1].conv2.weight *= F.pad(torch.ones(1, 1), (1, 1, 1, 1))
        network.train()(images)
    return network.eval()


def grown(small: EmbeddingNetwork, images: torch.Tensor) -> EmbeddingNetwork:
    torch.manual_seed(2)
    large = EmbeddingNetwork(LARGE)
    grow(large, small, images)
    return large


@torch.inference_mode()
def test_it_says_the_same_of_crops_that_it_was_not_grown_on(images: torch.Tensor) -> None:
    small = trained(images)
    large = grown(small, images[:48]).eval()
    torch.testing.assert_close(large(images[48:]), small(images[48:]), rtol=0.01, atol=0.01)


def test_a_step_of_training_begins_where_it_was(images: torch.Tensor) -> None:
    """Batch statistics are those of the images: the norms that pass a value on do so in training as well."""
    small = trained(images)
    large = grown(small, images)
    assert large.training
    with torch.no_grad():
        assert F.cosine_similarity(large(images), small(images)).min() > 0.999


def test_everything_in_it_comes_to_learn(images: torch.Tensor) -> None:
    large = grown(trained(images), images)
    optimiser = torch.optim.SGD(large.parameters(), 1e-3)
    for _ in range(3):  # what nothing reads yet learns once something does
        optimiser.zero_grad()
        large(images[:16]).square().mean().backward()
        optimiser.step()
    assert [name for name, weight in large.named_parameters() if not weight.grad.any()] == []


def test_of_the_shipped_network_little_changes(generated_market: Path, tmp_path: Path) -> None:
    crops = sorted((generated_market / "bounding_box_train").glob("*.jpg"))
    bundle = read_bundle(DEFAULT, EMBEDDING)
    small = load_network(DEFAULT, bundle, EMBEDDING).eval()
    torch.manual_seed(2)
    large = EmbeddingNetwork(dataclasses.replace(small.arguments, backbone="resnet50"))
    load_initial_weights(large, f"grown:{DEFAULT}", crops)
    images = bundle.preprocess.normalise(load_pixels(crops[:16], bundle.preprocess))
    with torch.inference_mode():
        cosines = F.cosine_similarity(large.eval()(images), small(images))
    assert 0.98 < cosines.mean() < 0.9999
    assert cosines.min() > 0.97  # without the least squares' bias 0.79
    with pytest.raises(RecipeError, match="expected grown: and a bundle folder"):
        load_initial_weights(large, f"grown:{tmp_path}", crops)


@pytest.mark.parametrize(
    ("large", "small"),
    [
        (SMALL, SMALL),
        (LARGE, LARGE),
        (dataclasses.replace(LARGE, last_stride=2), SMALL),
        (dataclasses.replace(LARGE, embedding_size=64), SMALL),
    ],
)
def test_networks_that_cannot_are_refused(large: EmbeddingArguments, small: EmbeddingArguments) -> None:
    with pytest.raises(RecipeError, match="growth: expected"):
        grow(EmbeddingNetwork(large), EmbeddingNetwork(small), torch.zeros(2, 3, 64, 32))
