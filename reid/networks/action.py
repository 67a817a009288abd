"""Action networks: an image network on every frame, and a head that joins what it saw.

Every head turns a frame into a vector, and a window's logits are a function of *means* over its frames. A stream
therefore costs the same for each new frame, however long the window: see :mod:`reid.networks.running_window`.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from reid.networks.activations import ACTIVATIONS
from reid.networks.flow import NUM_FIGURES, motion_figures

GREY = "grey_frames"
BACKBONES = {"efficientnet_b0": 1280, "tf_efficientnet_lite0": 1280, GREY: 1}
"""Image networks, and how many features F they have at each location."""

HEADS = ("locations", "probabilities", "motion", "flow")


@dataclass(frozen=True)
class ActionArguments:
    """Everything that shapes an action network; stored in the bundle.

    `activation` replaces the frame network's own everywhere but in its gates ("" keeps it). Heads: `locations` is the
    action paper's, a linear layer at every location and frame, its logits averaged; `probabilities` takes softmax at
    every location *before* the average, as the paper's loss study; `motion` looks at mean, spread, and change between
    frames, so that the order of frames counts; `flow` at optical flow, of the backbone `grey_frames` alone.
    """

    backbone: str
    num_labels: int
    head: str = "locations"
    activation: str = ""
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Raise ``ValueError`` on a name or number that makes no network."""
        if self.backbone not in BACKBONES:
            raise ValueError(f"expected a backbone of {tuple(BACKBONES)}, got {self.backbone!r}")
        if self.head not in HEADS:
            raise ValueError(f"expected a head of {HEADS}, got {self.head!r}")
        if self.activation and self.activation not in ACTIVATIONS:
            raise ValueError(f"expected an activation of {sorted(ACTIVATIONS)}, got {self.activation!r}")
        if (self.backbone == GREY) != (self.head == "flow"):
            raise ValueError(f"expected the head flow with the backbone {GREY} alone, got {self.head!r}")
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
        self.head = head_of(arguments, BACKBONES[arguments.backbone])

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """(B, T, 3, H, W) → (B, num_labels)."""
        batch, length = windows.shape[:2]
        maps = frame_maps(self.frames, windows.flatten(0, 1))
        logits: torch.Tensor = self.head(maps.view(batch, length, *maps.shape[1:]))
        return logits


def frame_network(arguments: ActionArguments) -> nn.Module:
    """The image network: ``forward_features`` takes (N, 3, H, W) to maps (N, F, h, w); no classifier."""
    if arguments.backbone == GREY:
        return GreyFrames()
    import timm  # a second to load, and only action bundles need it

    layer = ACTIVATIONS[arguments.activation] if arguments.activation else None
    network: nn.Module = timm.create_model(arguments.backbone, pretrained=False, num_classes=0, act_layer=layer)
    return network


def frame_maps(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """(N, 3, H, W) → maps (N, F, h, w) of a :func:`frame_network`."""
    maps: torch.Tensor = network.forward_features(images)  # type: ignore[operator] # timm's, and timm ships no types
    return maps


class Head(nn.Module, ABC):
    """Maps (B, T, F, h, w) → logits (B, L).

    Each frame becomes a vector; a window is the mean of what its vectors say (`terms`), for each of `spans`: a term of
    span s looks at a frame and the s before it, and there is none in a window's first s frames. The logits are a
    function of that mean.
    """

    spans: ClassVar[tuple[int, ...]] = (0,)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, T, F, h, w) → (B, L)."""
        vectors = self.vectors(maps.flatten(0, 1))
        return self.logits(self.statistics(vectors.view(*maps.shape[:2], -1)))

    @abstractmethod
    def vectors(self, maps: torch.Tensor) -> torch.Tensor:
        """What is kept of each frame, (N, F, h, w) → (N, V) float32."""

    def statistics(self, vectors: torch.Tensor) -> torch.Tensor:
        """Means over each window, (B, T, V) → (B, S)."""
        length = vectors.shape[1]
        means = []
        for span in self.spans:
            count = max(length - span, 0)
            frames = [vectors[:, place : place + count] for place in range(span + 1)]
            said = self.terms(torch.stack(frames, dim=2)).sum(dim=1) if count else self.silence(vectors[:, 0], span)
            means.append(said / length)
        return torch.cat(means, dim=1)

    def silence(self, vectors: torch.Tensor, span: int) -> torch.Tensor:
        """A sum of no terms: zeros for vectors (…, V) as long as the terms of the span, (…, R)."""
        return torch.zeros_like(self.terms(vectors[..., None, :].expand(*vectors.shape[:-1], span + 1, -1)))

    def terms(self, frames: torch.Tensor) -> torch.Tensor:
        """What frames in a row say, the latest one last, (…, span + 1, V) → (…, R): a frame itself, or what changed."""
        return frames[..., -1, :] if frames.shape[-2] == 1 else (frames[..., -1, :] - frames[..., 0, :]).abs()

    @abstractmethod
    def logits(self, mean: torch.Tensor) -> torch.Tensor:
        """Statistics of a window, (B, S) → (B, L)."""


class LocationsHead(Head):
    """The paper's: a linear layer at every location and frame, logits averaged over both.

    The mean of a linear layer is the linear layer of the mean, so a frame's vector is the mean of its features.
    """

    def __init__(self, num_features: int, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(num_features, num_labels)
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def vectors(self, maps: torch.Tensor) -> torch.Tensor:
        """Mean features over the locations, (N, F)."""
        return pooled(maps)

    def logits(self, mean: torch.Tensor) -> torch.Tensor:
        """(B, F) → (B, L)."""
        logits: torch.Tensor = self.linear(self.dropout(mean))
        return logits


class ProbabilitiesHead(LocationsHead):
    """Softmax at every location and frame, probabilities averaged; the logits are their logarithm."""

    def vectors(self, maps: torch.Tensor) -> torch.Tensor:
        """Mean probabilities over the locations, (N, L)."""
        # As a product with the maps as they lie: a linear layer would first copy all of them, locations first.
        at_locations = self.linear.weight @ self.dropout(maps.float()).flatten(2) + self.linear.bias[:, None]
        shares: torch.Tensor = at_locations.softmax(dim=1).mean(dim=2)
        return shares

    def logits(self, mean: torch.Tensor) -> torch.Tensor:
        """(B, L) probabilities → their logarithm, of at least 1e-7."""
        return mean.clamp(min=1e-7).log()


class MotionHead(Head):
    """Mean and spread of the frames' features, and how much they change from frame to frame; then a linear layer."""

    spans = (0, 1, 4)

    def __init__(self, num_features: int, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.num_features = num_features
        size = num_features * (1 + len(self.spans))
        self.norm = nn.BatchNorm1d(size, affine=False)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(size, num_labels)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def vectors(self, maps: torch.Tensor) -> torch.Tensor:
        """Mean features over the locations, (N, F)."""
        return pooled(maps)

    def terms(self, frames: torch.Tensor) -> torch.Tensor:
        """The features and their squares (…, 2 F), or how much they changed (…, F)."""
        said = super().terms(frames)
        return torch.cat([said, said.square()], dim=-1) if frames.shape[-2] == 1 else said

    def logits(self, mean: torch.Tensor) -> torch.Tensor:
        """(B, 4 F) → (B, L)."""
        average, square, *changes = torch.split(mean, self.num_features, dim=1)
        spread = (square - average.square()).clamp(min=0).sqrt()
        logits: torch.Tensor = self.linear(self.dropout(self.norm(torch.cat([average, spread, *changes], dim=1))))
        return logits


class FlowHead(Head):
    """Mean and spread over the window of how grey frames move (:mod:`reid.networks.flow`), then a linear layer.

    For maps of one channel: the frames themselves, square, in 0…255.
    """

    spans = (2,)

    def __init__(self, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(2 * NUM_FIGURES, affine=False)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(2 * NUM_FIGURES, num_labels)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def vectors(self, maps: torch.Tensor) -> torch.Tensor:
        """The pixels, (N, 1, side, side) → (N, side · side)."""
        return maps.float().flatten(1)

    def terms(self, frames: torch.Tensor) -> torch.Tensor:
        """The figures, their squares, and a 1 that counts them, (…, 3, V) → (…, 55)."""
        side = math.isqrt(frames.shape[-1])
        figures = motion_figures(frames.reshape(-1, 3, side, side)).view(*frames.shape[:-2], NUM_FIGURES)
        return torch.cat([figures, figures.square(), torch.ones_like(figures[..., :1])], dim=-1)

    def logits(self, mean: torch.Tensor) -> torch.Tensor:
        """(B, 55) → (B, L)."""
        average, square, share = torch.split(mean, [NUM_FIGURES, NUM_FIGURES, 1], dim=1)
        share = share.clamp(min=1e-6)  # of the frames that two come before; of a window of one or two there is nothing
        average, square = average / share, square / share
        spread = (square - average.square()).clamp(min=0).sqrt()
        logits: torch.Tensor = self.linear(self.dropout(self.norm(torch.cat([average, spread], dim=1))))
        return logits


class GreyFrames(nn.Module):
    """No network at all: normalised RGB frames back to grey ones in 0…255, for what looks at motion alone.

    The frames must be normalised with mean 0 and deviation 1: what comes in is in [0, 1].
    """

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) → (N, 1, H, W), by the weights of ITU-R BT.601."""
        red, green, blue = images.float().unbind(dim=1)
        return (255 * (0.299 * red + 0.587 * green + 0.114 * blue))[:, None]


def pooled(maps: torch.Tensor) -> torch.Tensor:
    """Mean over the locations, (N, F, h, w) → (N, F) float32."""
    return maps.float().mean(dim=(2, 3))


def head_of(arguments: ActionArguments, num_features: int) -> Head:
    """The head that the arguments name."""
    match arguments.head:
        case "locations":
            return LocationsHead(num_features, arguments.num_labels, arguments.dropout)
        case "flow":
            return FlowHead(arguments.num_labels, arguments.dropout)
        case "probabilities":
            return ProbabilitiesHead(num_features, arguments.num_labels, arguments.dropout)
        case _:
            return MotionHead(num_features, arguments.num_labels, arguments.dropout)
