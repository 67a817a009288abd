"""Training the head of an action recogniser over a frozen frame network."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reid.datasets.classes import LabelledFiles
from reid.networks.action import BACKBONES, ActionNetwork, Head, head_of
from reid.precision import Precision
from trainer.folds import Parts
from trainer.frame_features import head_inputs, start_network
from trainer.loop import Tensors
from trainer.recipes.actions import ActionRecipe
from trainer.tasks.actions import ActionTask


class HeadTask(ActionTask):
    """The head alone learns; what the frozen frame network sees in a clip is computed once."""

    model: "_Head"

    def __init__(
        self,
        clips: LabelledFiles,
        parts: Parts,
        recipe: ActionRecipe,
        device: torch.device,
        features: Path | None = None,
    ) -> None:
        """Compute every clip's features, or read them from the folder `features` if they are there.

        Raises :class:`DatasetError` for a clip that does not decode, and for less than a batch.
        """
        super().__init__(clips, parts, recipe, device)
        self.inputs = head_inputs(recipe, clips.paths, device, features)
        self._arguments = recipe.network(len(clips.label_names))
        torch.manual_seed(recipe.seed)
        head = head_of(self._arguments, BACKBONES[recipe.backbone])
        self.model = _Head(head, on_maps=recipe.learns_on_maps).to(device)
        self.precision = Precision.FP32  # a head of one layer gains nothing from less
        self._last: tuple[NDArray[np.int64], torch.Tensor] | None = None

    @property
    def network(self) -> ActionNetwork:
        """The frozen frame network with the head as it is now."""
        network = start_network(self.recipe, self._arguments.num_labels)
        network.head = self.model.head
        return network

    def parameter_groups(self) -> list[dict[str, Any]]:
        """One group: the head."""
        return [{"params": list(self.model.parameters()), "lr": self.recipe.learning_rate}]

    def batch_inputs(self, rows: NDArray[np.int64], generator: torch.Generator) -> torch.Tensor:  # noqa: ARG002 - nothing is random
        """Features. The last ones are kept: where all clips are one batch they are the next, and maps are large."""
        if self._last is None or not np.array_equal(self._last[0], rows):
            self._last = rows, self.inputs[rows].float().to(self.device)
        return self._last[1]

    @torch.inference_mode()
    def logits(self, model: nn.Module, rows: NDArray[np.int64]) -> torch.Tensor:
        """What `model` says of clips by their row numbers, (N, L) on the processor."""
        logits: torch.Tensor = model.eval()(self.inputs[rows].to(self.device))[0]
        return logits.cpu()


class _Head(nn.Module):
    """The head alone: on mean statistics, or on maps where the statistics themselves are learnt."""

    def __init__(self, head: Head, *, on_maps: bool) -> None:
        super().__init__()
        self.head, self.on_maps = head, on_maps

    def forward(self, inputs: torch.Tensor) -> Tensors:
        """(B, …) → logits (B, L)."""
        return (self.head(inputs) if self.on_maps else self.head.logits(inputs),)
