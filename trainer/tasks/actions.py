"""Training the head of an action recogniser over a frozen frame network."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from reid.datasets.classes import LabelledFiles
from reid.errors import DatasetError
from reid.networks.action import BACKBONES, ActionNetwork, Head, head_of
from reid.precision import Precision
from trainer.distributed import World
from trainer.folds import Parts
from trainer.frame_features import head_inputs, start_network
from trainer.loop import Batch, Tensors
from trainer.losses.probabilities import PROBABILITY_LOSSES
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
        if len(parts.train) < recipe.batch_size:
            raise DatasetError(f"expected at least a batch of {recipe.batch_size} clips, got {len(parts.train)}")
        self.recipe, self.device, self.parts = recipe, device, parts
        self.labels = torch.from_numpy(clips.labels)
        self.inputs = head_inputs(recipe, clips.paths, device, features)
        self._arguments = recipe.network(len(clips.label_names))
        torch.manual_seed(recipe.seed)
        head = head_of(self._arguments, BACKBONES[recipe.backbone])
        self.model = _Model(head, on_maps=recipe.learns_on_maps).to(device)
        self._whole: Batch | None = None
        self.precision = Precision.FP32  # a head of one layer gains nothing from less

    @property
    def network(self) -> ActionNetwork:
        """The frozen frame network with the head as it is now."""
        network = start_network(self.recipe, self._arguments.num_labels)
        network.head = self.model.head
        return network

    def steps_per_epoch(self, epoch: int) -> int:
        """Whole batches that the training clips fill."""
        return len(self.parts.train) // self._batch_size(epoch)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """One group: the head."""
        return [{"params": list(self.model.parameters()), "lr": self.recipe.learning_rate}]

    def batches(self, epoch: int, world: World) -> Iterator[Batch]:
        """This process's clips of each batch."""
        if not self.recipe.batch_size:
            yield self._whole_batch(world)
            return
        order = np.random.default_rng((self.recipe.seed, epoch))
        for places in shuffled_batches(len(self.parts.train), self._batch_size(epoch), order):
            rows = self.parts.train[places[world.rank :: world.size]]
            yield Batch(self.inputs[rows].to(self.device), (self.labels[rows].to(self.device),))

    def _whole_batch(self, world: World) -> Batch:
        """The same in every epoch, and gathered once: maps of all clips are large."""
        if self._whole is None:
            rows = self.parts.train[world.rank :: world.size]
            self._whole = Batch(self.inputs[rows].float().to(self.device), (self.labels[rows].to(self.device),))
        return self._whole

    def loss(self, outputs: Tensors, targets: Tensors) -> torch.Tensor:
        """The recipe's, of a whole batch."""
        (logits,), (labels,) = outputs, targets
        if self.recipe.loss == "cross_entropy":
            return F.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
        one_hot = F.one_hot(labels, logits.shape[1]).float()
        return PROBABILITY_LOSSES[self.recipe.loss](logits.softmax(dim=1), one_hot)

    def top1_error(self, outputs: Tensors, targets: Tensors) -> float:
        """The share of a batch whose best label is wrong."""
        return top1_error(outputs[0], targets[0])

    def validate(self, model: nn.Module, epoch: int) -> dict[str, float]:  # noqa: ARG002 - the loop tells every task
        """Loss and top-1 error of the validation part; nothing where there is none."""
        rows = self.parts.validation
        return validation_figures(self.logits(model, rows), self.labels[rows]) if len(rows) else {}

    @torch.inference_mode()
    def logits(self, model: nn.Module, rows: NDArray[np.int64]) -> torch.Tensor:
        """What `model` says of clips by their row numbers, (N, L) on the processor."""
        logits: torch.Tensor = model.eval()(self.inputs[rows].to(self.device))[0]
        return logits.cpu()

    def _batch_size(self, epoch: int) -> int:
        return batch_size_at(self.recipe, epoch) or len(self.parts.train)
