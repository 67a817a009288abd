"""Image classifiers: MobileNetV3-Large, and the two small networks that tell sunglasses from open eyes.

`conv_nn_1` and `conv_nn_2` take one grey channel of 30 × 32 px: the sizes 784 and 256 of their flattened maps, which
the paper states, fix the orientation (its prose and its listing swap the two poolings).
"""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import nn
from torchvision import models

ARCHITECTURES = ("mobilenet_v3_large", "conv_nn_1", "conv_nn_2")
_SMALL_SIZE_PX = (30, 32)
# torchvision's MobileNetV3 follows batch statistics by 1 % a step, which suits ImageNet's 5 000 steps an epoch: after
# the 900 steps that a thousand images give, they are still those of random weights.
_NORM_MOMENTUM = 0.1


@dataclass(frozen=True)
class ClassifierArguments:
    """Everything that shapes a classifier; stored in the bundle.

    `width` multiplies MobileNet's channels. `dropout` follows the first linear layer. `sigmoid` ends the network as the
    sunglasses paper does: cross-entropy of outputs in (0, 1), taken for logits, cannot fall below 0.313 for two labels.
    """

    architecture: str
    num_labels: int
    width: float = 1.0
    dropout: float = 0.0
    sigmoid: bool = False

    def __post_init__(self) -> None:
        """Raise ``ValueError`` on a name or number that makes no network."""
        if self.architecture not in ARCHITECTURES:
            raise ValueError(f"expected an architecture of {ARCHITECTURES}, got {self.architecture!r}")
        if self.num_labels < 2:
            raise ValueError(f"expected at least 2 labels, got {self.num_labels}")
        if self.width <= 0 or not 0 <= self.dropout < 1:
            raise ValueError(f"expected a positive width and a dropout in [0, 1), got {self.width} and {self.dropout}")


class ClassifierNetwork(nn.Module):
    """(B, C, H, W) float → (B, num_labels) logits, or with `sigmoid` outputs in (0, 1) that are used as logits."""

    def __init__(self, arguments: ClassifierArguments) -> None:
        super().__init__()
        self.arguments = arguments
        self.body = _body(arguments)
        self.output = nn.Sigmoid() if arguments.sigmoid else nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) → (B, num_labels)."""
        outputs: torch.Tensor = self.output(self.body(images))
        return outputs


def _body(arguments: ClassifierArguments) -> nn.Module:
    match arguments.architecture:
        case "conv_nn_1":
            return _small(arguments, padding=(2, 1), first_pool=2, flat=784, hidden=40)
        case "conv_nn_2":
            return _small(arguments, padding=(1, 0), first_pool=3, flat=256, hidden=32)
        case _:
            body: nn.Module = models.mobilenet_v3_large(
                weights=None,
                num_classes=arguments.num_labels,
                width_mult=arguments.width,
                dropout=arguments.dropout,
            )
            for module in body.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.momentum = _NORM_MOMENTUM
            return body


def _small(
    arguments: ClassifierArguments, *, padding: tuple[int, int], first_pool: int, flat: int, hidden: int
) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            size=ExpectSize(1, *_SMALL_SIZE_PX),
            conv1=nn.Conv2d(1, 8, 3, padding=padding),
            pool1=nn.MaxPool2d(first_pool),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(8, 16, 3),
            pool2=nn.MaxPool2d(2),
            relu2=nn.ReLU(),
            flatten=nn.Flatten(),
            linear1=nn.Linear(flat, hidden),
            relu3=nn.ReLU(),
            dropout=nn.Dropout(arguments.dropout),
            linear2=nn.Linear(hidden, arguments.num_labels),
        )
    )


class ExpectSize(nn.Module):
    """Passes images on, or says what size it wanted: a linear layer's complaint about 672 features helps nobody."""

    def __init__(self, channels: int, height_px: int, width_px: int) -> None:
        super().__init__()
        self.shape = (channels, height_px, width_px)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) → the same. Raises ``ValueError`` for another C, H or W."""
        if tuple(images.shape[1:]) != self.shape:
            raise ValueError(
                f"expected images of (channels, height, width) {self.shape}, got {tuple(images.shape[1:])}"
            )
        return images
