"""Training the head of an action recogniser over a frozen frame network."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from reid.datasets.classes import LabelledFiles
from reid.errors import DatasetError
from reid.networks.action import ActionNetwork, Head
from reid.precision import Precision
from trainer.distributed import World
from trainer.folds import Parts
from trainer.frame_features import head_inputs
from trainer.initial_weights import load_frame_weights
from trainer.loop import Batch, Tensors
from trainer.recipes.actions import ActionRecipe
from trainer.samplers import shuffled_batches
from trainer.schedules import batch_size_at
from trainer.tasks.classification import top1_error, validation_figures


class _Model(nn.Module):
    """The head alone: on mean statistics, or on maps where the statistics themselves are learnt."""

    def __init__(self, head: Head, *, on_maps: bool) -> None:
        super().__init__()
        self.head, self.on_maps = head, on_maps

    def forward(self, inputs: torch.Tensor) -> Tensors:
        """(B, …) → logits (B, L)."""
        return (self.head(inputs) if self.on_maps else self.head.logits(inputs),)


class ActionTask:
    """Labelled clips; a :class:`~trainer.loop.Task`."""

    def __init__(self, clips: LabelledFiles, parts: Parts, recipe: ActionRecipe, device: torch.device) -> None:
        """Compute every clip's features. Raises :class:`DatasetError` for a clip that does not decode."""
        if len(parts.train) < recipe.batch_size:
            raise DatasetError(f"expected at least a batch of {recipe.batch_size} clips, got {len(parts.train)}")
        self.recipe, self.device, self.parts = recipe, device, parts
        torch.manual_seed(recipe.seed)
        self.network = ActionNetwork(recipe.network(len(clips.label_names)))
        load_frame_weights(self.network.frames, recipe.backbone, recipe.initial_weights)
        self.labels = torch.from_numpy(clips.labels)
        self.inputs = head_inputs(self.network, clips.paths, recipe.preprocess, device)
        self.model = _Model(self.network.head, on_maps=recipe.head == "probabilities").to(device)
        self.precision = Precision.FP32  # a head of one layer gains nothing from less

    def steps_per_epoch(self, epoch: int) -> int:
        """Whole batches that the training clips fill."""
        return len(self.parts.train) // batch_size_at(self.recipe, epoch)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """One group: the head."""
        return [{"params": list(self.model.parameters()), "lr": self.recipe.learning_rate}]

    def batches(self, epoch: int, world: World) -> Iterator[Batch]:
        """This process's clips of each batch."""
        order = np.random.default_rng((self.recipe.seed, epoch))
        for places in shuffled_batches(len(self.parts.train), batch_size_at(self.recipe, epoch), order):
            rows = self.parts.train[places[world.rank :: world.size]]
            yield Batch(self.inputs[rows].float().to(self.device), (self.labels[rows].to(self.device),))

    def loss(self, outputs: Tensors, targets: Tensors) -> torch.Tensor:
        """Cross-entropy of a whole batch."""
        return F.cross_entropy(outputs[0], targets[0], label_smoothing=self.recipe.label_smoothing)

    def top1_error(self, outputs: Tensors, targets: Tensors) -> float:
        """The share of a batch whose best label is wrong."""
        return top1_error(outputs[0], targets[0])

    @torch.inference_mode()
    def validate(self, model: nn.Module, epoch: int) -> dict[str, float]:  # noqa: ARG002 - the loop tells every task
        """Loss and top-1 error of the validation part; nothing where there is none."""
        rows = self.parts.validation
        if not len(rows):
            return {}
        logits = model.eval()(self.inputs[rows].float().to(self.device))[0].cpu()
        return validation_figures(logits, self.labels[rows])
