import math

import pytest
import torch
from torch import nn

from reid.networks.embedding import EmbeddingArguments, EmbeddingNetwork, IdentityClassifier

BASELINE = EmbeddingArguments(backbone="resnet50", last_stride=2, head="linear", embedding_size=512)
STRONG = EmbeddingArguments(backbone="resnet50", last_stride=1, head="bnneck", embedding_size=2048)


def feature_map(arguments: EmbeddingArguments, height: int, width: int) -> torch.Size:
    """Shape of what the backbone's last stage gives."""
    network = EmbeddingNetwork(arguments).eval()
    shapes: list[torch.Size] = []
    network.backbone.layer4.register_forward_hook(lambda *call: shapes.append(call[2].shape))
    with torch.inference_mode():
        network(torch.zeros(1, 3, height, width))
    return shapes[0]


@pytest.mark.parametrize(
    ("backbone", "last_stride", "expected"),
    [("resnet50", 2, (1, 2048, 8, 4)), ("resnet50", 1, (1, 2048, 16, 8)), ("resnet18", 1, (1, 512, 16, 8))],
)
def test_the_last_stride_decides_the_last_map(backbone: str, last_stride: int, expected: tuple[int, ...]) -> None:
    size = 2048 if backbone == "resnet50" else 512
    arguments = EmbeddingArguments(backbone, last_stride, "bnneck", size)
    assert feature_map(arguments, 256, 128) == torch.Size(expected)


def test_the_baseline_head_is_linear_then_norm_with_the_study_codes_initialisation() -> None:
    torch.manual_seed(0)
    linear, norm = EmbeddingNetwork(BASELINE).neck
    assert isinstance(linear, nn.Linear)
    assert isinstance(norm, nn.BatchNorm1d)
    assert linear.weight.shape == (512, 2048)
    assert not linear.bias.any()
    assert linear.weight.std().item() == pytest.approx(math.sqrt(2 / 512), rel=0.01)  # Kaiming, fan-out
    assert norm.weight.mean().item() == pytest.approx(1.0, abs=0.005)
    assert norm.weight.std().item() == pytest.approx(0.02, rel=0.15)


def test_the_baseline_classifier() -> None:
    torch.manual_seed(0)
    classifier = IdentityClassifier(512, 751, dropout=0.5, bias=True)
    assert classifier.dropout.p == 0.5
    assert classifier.linear.weight.shape == (751, 512)
    assert classifier.linear.weight.std().item() == pytest.approx(0.001, rel=0.02)
    assert not classifier.linear.bias.any()


def test_bnneck_freezes_the_norms_bias_and_gives_the_feature_before_it() -> None:
    network = EmbeddingNetwork(STRONG)
    assert network.neck[1].bias.requires_grad is False
    assert network.neck[1].weight.requires_grad is True
    network.eval()
    with torch.inference_mode():
        feature, embedding = network.forward_both(torch.rand(2, 3, 64, 32))
    norm = network.neck[1]
    expected = (feature - norm.running_mean) / torch.sqrt(norm.running_var + norm.eps) * norm.weight
    assert torch.allclose(embedding, expected, atol=1e-5)


def test_the_embedding_is_what_follows_the_norm() -> None:
    network = EmbeddingNetwork(BASELINE).eval()
    images = torch.rand(2, 3, 64, 32)
    with torch.inference_mode():
        assert torch.equal(network(images), network.forward_both(images)[1])
        assert network(images).shape == (2, 512)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backbone": "vgg"}, "expected a backbone of"),
        ({"last_stride": 3}, "expected last_stride 1 or 2, got 3"),
        ({"head": "gem"}, "expected a head of"),
        ({"embedding_size": 0}, "expected a positive embedding_size, got 0"),
    ],
)
def test_arguments_that_do_not_exist_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EmbeddingArguments(**arguments)  # type: ignore[arg-type]


def test_bnneck_keeps_the_backbones_size() -> None:
    with pytest.raises(ValueError, match="keeps the backbone's 512 features, got 256"):
        EmbeddingNetwork(EmbeddingArguments("resnet18", 1, "bnneck", 256))
