"""Embedding networks: a torchvision ResNet and one of two heads.

`linear` is the head of the learning-rate study's code (average pool → Linear → BatchNorm1d → dropout →
classifier): the embedding is the feature after the batch norm. `bnneck` is the head of "Bag of Tricks and a
Strong Baseline for Deep Person Re-identification" (Luo et al. 2019): average pool → triplet feature →
BatchNorm1d with a frozen bias → classifier without bias; the embedding is again the feature after the norm.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torchvision import models
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

BACKBONES: dict[str, Callable[..., ResNet]] = {
    "resnet18": models.resnet18,
    "resnet34": models.resnet34,
    "resnet50": models.resnet50,
}
HEADS = ("linear", "bnneck")


@dataclass(frozen=True)
class EmbeddingArguments:
    """Everything that shapes an embedding network; stored in the bundle."""

    backbone: str = "resnet50"
    last_stride: int = 2
    head: str = "linear"
    embedding_size: int = 512

    def __post_init__(self) -> None:
        """Raise ``ValueError`` on a name or size that does not exist."""
        if self.backbone not in BACKBONES:
            raise ValueError(f"expected a backbone of {sorted(BACKBONES)}, got {self.backbone!r}")
        if self.last_stride not in (1, 2):
            raise ValueError(f"expected last_stride 1 or 2, got {self.last_stride}")
        if self.head not in HEADS:
            raise ValueError(f"expected a head of {HEADS}, got {self.head!r}")
        if self.embedding_size < 1:
            raise ValueError(f"expected a positive embedding_size, got {self.embedding_size}")


class EmbeddingNetwork(nn.Module):
    """Backbone and neck: (B, 3, H, W) float → (B, D) embedding, not yet of unit length."""

    def __init__(self, arguments: EmbeddingArguments) -> None:
        super().__init__()
        self.arguments = arguments
        self.backbone = _backbone(arguments)
        self.neck = _neck(arguments, _num_features(self.backbone))
        self.backbone.fc = nn.Identity()

    def forward_both(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, 3, H, W) → the feature before and the embedding after the batch norm, each (B, D)."""
        projected = self.neck[0](self.backbone(images))
        return projected, self.neck[1](projected)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) → (B, D)."""
        return self.forward_both(images)[1]


def _backbone(arguments: EmbeddingArguments) -> ResNet:
    backbone = BACKBONES[arguments.backbone](weights=None)
    if arguments.last_stride == 1:
        first = backbone.layer4[0]
        assert isinstance(first, BasicBlock | Bottleneck)
        assert first.downsample is not None
        for convolution in (first.conv1, first.conv2, first.downsample[0]):
            assert isinstance(convolution, nn.Conv2d)
            convolution.stride = (1, 1)
    return backbone


def _num_features(backbone: nn.Module) -> int:
    fc = backbone.fc
    assert isinstance(fc, nn.Linear)
    return fc.in_features


def _neck(arguments: EmbeddingArguments, num_features: int) -> nn.Sequential:
    if arguments.head == "bnneck":
        if arguments.embedding_size != num_features:
            raise ValueError(
                f"the bnneck head keeps the backbone's {num_features} features, got {arguments.embedding_size}"
            )
        norm = nn.BatchNorm1d(num_features)
        norm.bias.requires_grad_(False)
        return nn.Sequential(nn.Identity(), norm)
    linear = nn.Linear(num_features, arguments.embedding_size)
    nn.init.kaiming_normal_(linear.weight, mode="fan_out")
    nn.init.zeros_(linear.bias)
    norm = nn.BatchNorm1d(arguments.embedding_size)
    nn.init.normal_(norm.weight, 1.0, 0.02)
    return nn.Sequential(linear, norm)


class IdentityClassifier(nn.Module):
    """The classifier that only training needs: (B, D) embedding → (B, P) logits."""

    def __init__(self, embedding_size: int, num_classes: int, *, dropout: float, bias: bool) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(embedding_size, num_classes, bias=bias)
        nn.init.normal_(self.linear.weight, 0.0, 0.001)
        if bias:
            nn.init.zeros_(self.linear.bias)

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        """(B, D) → (B, P)."""
        logits: torch.Tensor = self.linear(self.dropout(embedding))
        return logits
