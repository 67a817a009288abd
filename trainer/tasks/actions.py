"""Training an action recogniser: what its head alone and the whole of it have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from reid.datasets.classes import LabelledFiles
from reid.errors import DatasetError
from reid.networks.action import ActionNetwork
from reid.precision import Precision
from trainer.bundling import labelled_sha256
from trainer.distributed import World
from trainer.folds import Parts
from trainer.loop import Batch, Tensors
from trainer.losses.probabilities import PROBABILITY_LOSSES
from trainer.recipes.actions import ActionRecipe
from trainer.samplers import shuffled_batches
from trainer.schedules import batch_size_at
from trainer.tasks.classification import top1_error, validation_figures


class ActionTask(ABC):
    """Labelled clips; a :class:`~trainer.loop.Task`."""

    precision: Precision
    model: nn.Module

    def __init__(self, clips: LabelledFiles, parts: Parts, recipe: ActionRecipe, device: torch.device) -> None:
        """Raise :class:`DatasetError` for less than a batch."""
        if len(parts.train) < recipe.batch_size:
            raise DatasetError(f"expected at least a batch of {recipe.batch_size} clips, got {len(parts.train)}")
        self.recipe, self.device, self.parts = recipe, device, parts
        self.labels = torch.from_numpy(clips.labels)
        self._trained_on = [clips.paths[row] for row in parts.train]

    @property
    @abstractmethod
    def network(self) -> ActionNetwork:
        """The whole network as it is now."""

    @abstractmethod
    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameter groups for the optimiser, each with its own `lr`."""

    @abstractmethod
    def batch_inputs(self, rows: NDArray[np.int64], generator: torch.Generator) -> torch.Tensor:
        """What the model takes of clips by their row numbers, (B, …) on the device."""

    @abstractmethod
    def logits(self, model: nn.Module, rows: NDArray[np.int64]) -> torch.Tensor:
        """What `model` says of clips by their row numbers, (N, L) on the processor."""

    def data_sha256(self) -> str:
        """Of the clips that are trained on, and their labels."""
        return labelled_sha256(self._trained_on, self.labels[self.parts.train].numpy())

    def steps_per_epoch(self, epoch: int) -> int:
        """Whole batches that the training clips fill."""
        return len(self.parts.train) // self._batch_size(epoch)

    def batches(self, epoch: int, world: World) -> Iterator[Batch]:
        """This process's clips of each batch."""
        generator = world.generator(self.recipe.seed, epoch)
        for places in self._places(epoch):
            rows = self.parts.train[world.share(places)]
            yield Batch(self.batch_inputs(rows, generator), (self.labels[rows].to(self.device),))

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

    def _places(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        """Of each batch, places in the training part; all of them in order where they are one batch."""
        count = len(self.parts.train)
        if not self.recipe.batch_size:
            yield np.arange(count)
            return
        order = np.random.default_rng((self.recipe.seed, epoch))
        yield from shuffled_batches(count, self._batch_size(epoch), order)

    def _batch_size(self, epoch: int) -> int:
        return batch_size_at(self.recipe, epoch) or len(self.parts.train)
