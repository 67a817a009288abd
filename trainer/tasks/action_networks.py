"""Training the whole of an action recogniser, its frame network too."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reid.clips import Clip
from reid.clips.preprocess import windows
from reid.datasets.classes import LabelledFiles
from reid.networks.action import ActionNetwork, frame_maps, pooled
from reid.precision import choose_precision
from reid.predictors.device import moved
from reid.predictors.frame_vectors import pixels_of
from trainer.folds import Parts
from trainer.frame_features import decoded, start_network
from trainer.loop import Tensors
from trainer.progress import mapped
from trainer.recipes.actions import ActionRecipe
from trainer.tasks.actions import ActionTask

_EVALUATION_CLIPS = 4


class NetworkTask(ActionTask):
    """The frame network learns too, at a rate of its own; clips are decoded once and kept as pixels."""

    model: "_Network"

    def __init__(self, clips: LabelledFiles, parts: Parts, recipe: ActionRecipe, device: torch.device) -> None:
        """Decode everything. Raises :class:`DatasetError` for a clip that does not decode, and less than a batch."""
        super().__init__(clips, parts, recipe, device)
        self.pixels = _pixels(clips, recipe)
        network = start_network(recipe, len(clips.label_names))
        # torch's types know `to` with a memory format for tensors only.
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model = _Network(network)
        frames = network.frames.eval()
        self.precision = choose_precision(lambda images: pooled(frame_maps(frames, images)), recipe.preprocess, device)

    @property
    def network(self) -> ActionNetwork:
        """The network that learns."""
        return self.model.network

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Two groups: the frame network, and the head."""
        return [
            {"params": list(self.network.frames.parameters()), "lr": self.recipe.frames_learning_rate},
            {"params": list(self.network.head.parameters()), "lr": self.recipe.learning_rate},
        ]

    def batch_inputs(self, rows: NDArray[np.int64], generator: torch.Generator) -> torch.Tensor:
        """Normalised frames, (B, T, 3, H, W) float32; some clips are mirrored, each as a whole."""
        pixels = self.pixels[rows]
        mirrored = torch.rand(len(rows), generator=generator) < self.recipe.flip
        pixels[mirrored] = pixels[mirrored].flip(-1)
        return self._normalised(pixels)

    @torch.inference_mode()
    def logits(self, model: nn.Module, rows: NDArray[np.int64]) -> torch.Tensor:
        """What `model` says of clips by their row numbers, (N, L) on the processor."""
        model.eval()
        with self.precision.autocast(self.device):
            parts = [model(self._normalised(part))[0] for part in torch.split(self.pixels[rows], _EVALUATION_CLIPS)]
        return torch.cat(parts).float().cpu()

    def _normalised(self, pixels: torch.Tensor) -> torch.Tensor:
        frames = self.recipe.preprocess.normalise(moved(pixels, self.device).flatten(0, 1))
        return frames.view(pixels.shape)


class _Network(nn.Module):
    """The loop wants a tuple of outputs."""

    def __init__(self, network: ActionNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, clips: torch.Tensor) -> Tensors:
        """(B, T, 3, H, W) → logits (B, L)."""
        return (self.network(clips),)


def _pixels(clips: LabelledFiles, recipe: ActionRecipe) -> torch.Tensor:
    """Every clip's frames as the network sees them, (N, T, 3, H, W) uint8."""

    def window(clip: Clip) -> torch.Tensor:
        (rows,) = windows(clip)
        return pixels_of(clip)[rows]

    decoder = recipe.preprocess.decoder()
    try:
        return torch.stack(mapped(window, decoded(decoder, clips.paths), len(clips.paths), "clips"))
    finally:
        decoder.close()
