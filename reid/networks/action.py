"""Action networks: an image network on every frame, and a head that joins what it saw.

Every head is a function of *statistics of a frame*, averaged over a window's frames. A stream therefore costs the same
for each new frame, however long the window: add its statistics, take the oldest away.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import nn

from reid.networks.activations import ACTIVATIONS

BACKBONES = ("efficientnet_b0", "tf_efficientnet_lite0")
HEADS = ("locations", "probabilities", "motion")
_LAGS = (1, 4)  # frames apart


@dataclass(frozen=True)
class ActionArguments:
    """Everything that shapes an action network; stored in the bundle.

    `activation` replaces the frame network's own everywhere but in its gates ("" keeps it). Heads: `locations` is the
    action paper's, a linear layer at every location and frame, its logits averaged; `probabilities` takes softmax at
    every location *before* the average, as the paper's loss study; `motion` looks at mean, spread, and change between
    frames, so that the order of frames counts.
    """

    backbone: str
    num_labels: int
    head: str = "locations"
    activation: str = ""
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Raise ``ValueError`` on a name or number that makes no network."""
        if self.backbone not in BACKBONES:
            raise ValueError(f"expected a backbone of {BACKBONES}, got {self.backbone!r}")
        if self.head not in HEADS:
            raise ValueError(f"expected a head of {HEADS}, got {self.head!r}")
        if self.activation and self.activation not in ACTIVATIONS:
            raise ValueError(f"expected an activation of {sorted(ACTIVATIONS)}, got {self.activation!r}")
        if self.num_labels < 2 or not 0 <= self.dropout < 1:
            raise ValueError(
                f"expected at least 2 labels and a dropout in [0, 1), got {self.num_labels} and {self.dropout}"
            )


class ActionNetwork(nn.Module):
    """(B, T, 3, H, W) float → (B, num_labels) logits."""

    def __init__(self, arguments: ActionArguments) -> None:
        super().__init__()
        self.arguments = arguments
        self.frames = frame_network(arguments)
        self.head = head_of(arguments, num_features(self.frames))

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """(B, T, 3, H, W) → (B, num_labels)."""
        batch, length = windows.shape[:2]
        maps = frame_maps(self.frames, windows.flatten(0, 1))
        logits: torch.Tensor = self.head(maps.view(batch, length, *maps.shape[1:]))
        return logits


def frame_network(arguments: ActionArguments) -> nn.Module:
    """The image network: ``forward_features`` takes (N, 3, H, W) to maps (N, F, h, w); no classifier."""
    import timm  # a second to load, and only action bundles need it

    layer = ACTIVATIONS[arguments.activation] if arguments.activation else None
    network: nn.Module = timm.create_model(arguments.backbone, pretrained=False, num_classes=0, act_layer=layer)
    return network


def frame_maps(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """(N, 3, H, W) → maps (N, F, h, w) of a :func:`frame_network`."""
    maps: torch.Tensor = network.forward_features(images)  # type: ignore[operator] # timm's, and timm ships no types
    return maps


def num_features(network: nn.Module) -> int:
    """F of a :func:`frame_network`."""
    size = network.num_features
    assert isinstance(size, int)
    return size


class Head(nn.Module, ABC):
    """Maps (B, T, F, h, w) → logits (B, L): statistics of every frame, their mean, and a function of it."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, T, F, h, w) → (B, L)."""
        return self.logits(self.statistics(maps).mean(dim=1))

    @abstractmethod
    def statistics(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, T, F, h, w) → (B, T, S)."""

    @abstractmethod
    def logits(self, mean: torch.Tensor) -> torch.Tensor:
        """Statistics averaged over a window, (B, S) → (B, L)."""


class LocationsHead(Head):
    """The paper's: a linear layer at every location and frame, logits averaged over both.

    The mean of a linear layer is the linear layer of the mean, so the statistics are a frame's mean features.
    """

    def __init__(self, num_features: int, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(num_features, num_labels)
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def statistics(self, maps: torch.Tensor) -> torch.Tensor:
        """Mean features over the locations, (B, T, F)."""
        return maps.float().mean(dim=(3, 4))

    def logits(self, mean: torch.Tensor) -> torch.Tensor:
        """(B, F) → (B, L)."""
        logits: torch.Tensor = self.linear(self.dropout(mean))
        return logits


class ProbabilitiesHead(LocationsHead):
    """Softmax at every location and frame, probabilities averaged; the logits are their logarithm."""

    def statistics(self, maps: torch.Tensor) -> torch.Tensor:
        """Mean probabilities over the locations, (B, T, L)."""
        at_locations: torch.Tensor = self.linear(self.dropout(maps.float().permute(0, 1, 3, 4, 2)))
        return at_locations.softmax(dim=-1).mean(dim=(2, 3))

    def logits(self, mean: torch.Tensor) -> torch.Tensor:
        """(B, L) probabilities → their logarithm, of at least 1e-7."""
        return mean.clamp(min=1e-7).log()


class MotionHead(Head):
    """Mean and spread of the frames' features, and how much they change from frame to frame; then a linear layer."""

    def __init__(self, num_features: int, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.num_features = num_features
        size = num_features * (2 + len(_LAGS))
        self.norm = nn.BatchNorm1d(size, affine=False)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(size, num_labels)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def statistics(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, T, 4 F): features, their squares, and their change since 1 and 4 frames ago (0 before that)."""
        features = maps.float().mean(dim=(3, 4))
        changes = [self._change(features, lag) for lag in _LAGS]
        return torch.cat([features, features.square(), *changes], dim=2)

    @staticmethod
    def _change(features: torch.Tensor, lag: int) -> torch.Tensor:
        change = torch.zeros_like(features)
        change[:, lag:] = (features[:, lag:] - features[:, :-lag]).abs()
        return change

    def logits(self, mean: torch.Tensor) -> torch.Tensor:
        """(B, 4 F) → (B, L)."""
        average, square, *changes = torch.split(mean, self.num_features, dim=1)
        spread = (square - average.square()).clamp(min=0).sqrt()
        logits: torch.Tensor = self.linear(self.dropout(self.norm(torch.cat([average, spread, *changes], dim=1))))
        return logits


def head_of(arguments: ActionArguments, num_features: int) -> Head:
    """The head that the arguments name."""
    match arguments.head:
        case "locations":
            return LocationsHead(num_features, arguments.num_labels, arguments.dropout)
        case "probabilities":
            return ProbabilitiesHead(num_features, arguments.num_labels, arguments.dropout)
        case _:
            return MotionHead(num_features, arguments.num_labels, arguments.dropout)
