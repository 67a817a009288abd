"""Training an image classifier."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from reid.datasets.classes import LabelledFiles
from reid.errors import DatasetError
from reid.networks.classifier import ClassifierNetwork
from reid.precision import Precision, choose_precision
from reid.predictors.device import moved
from trainer.bundling import labelled_sha256
from trainer.class_augment import augment_images
from trainer.distributed import World
from trainer.folds import Parts
from trainer.loop import Batch, Tensors
from trainer.pixels import load_pixels
from trainer.recipes.classifiers import ClassifierRecipe
from trainer.samplers import shuffled_batches
from trainer.schedules import batch_size_at
from trainer.tasks.classification import top1_error, validation_figures
from trainer.weight_gradients import use_products

_EVALUATION_BATCH = 128


class _Model(nn.Module):
    """The loop wants a tuple of outputs."""

    def __init__(self, network: ClassifierNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> Tensors:
        """(B, C, H, W) → logits (B, L)."""
        return (self.network(images),)


class ClassifierTask:
    """Labelled images; a :class:`~trainer.loop.Task`."""

    def __init__(self, images: LabelledFiles, parts: Parts, recipe: ClassifierRecipe, device: torch.device) -> None:
        """Decode everything. Raises :class:`DatasetError` for a file that does not decode, or less than a batch."""
        if len(parts.train) < recipe.batch_size:
            raise DatasetError(f"expected at least a batch of {recipe.batch_size} images, got {len(parts.train)}")
        self.recipe, self.device, self.parts = recipe, device, parts
        self.labels = torch.from_numpy(images.labels)
        self._trained_on = [images.paths[row] for row in parts.train]
        self.pixels = load_pixels(images.paths, recipe.preprocess)
        torch.manual_seed(recipe.seed)
        self.network = ClassifierNetwork(recipe.network(len(images.label_names)))
        self.model = _Model(self.network)
        if device.type == "cpu":
            use_products(self.model)
        # torch's types know `to` with a memory format for tensors only.
        self.model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.precision: Precision = choose_precision(self.network.eval(), recipe.preprocess, device)

    def data_sha256(self) -> str:
        """Of the images that are trained on, and their labels."""
        return labelled_sha256(self._trained_on, self.labels[self.parts.train].numpy())

    def steps_per_epoch(self, epoch: int) -> int:
        """Whole batches that the training images fill."""
        return len(self.parts.train) // batch_size_at(self.recipe, epoch)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """One group: everything learns at the recipe's rate."""
        return [{"params": list(self.model.parameters()), "lr": self.recipe.learning_rate}]

    def batches(self, epoch: int, world: World) -> Iterator[Batch]:
        """This process's images of each batch, augmented."""
        generator = world.generator(self.recipe.seed, epoch)
        order = np.random.default_rng((self.recipe.seed, epoch))
        for places in shuffled_batches(len(self.parts.train), batch_size_at(self.recipe, epoch), order):
            rows = self.parts.train[world.share(places)]
            changed = augment_images(self.pixels[rows], self.recipe, generator)
            yield Batch(
                self.recipe.preprocess.normalise(moved(changed, self.device)), (self.labels[rows].to(self.device),)
            )

    def loss(self, outputs: Tensors, targets: Tensors) -> torch.Tensor:
        """Cross-entropy of a whole batch."""
        return F.cross_entropy(outputs[0], targets[0], label_smoothing=self.recipe.label_smoothing)

    def top1_error(self, outputs: Tensors, targets: Tensors) -> float:
        """The share of a batch whose best label is wrong."""
        return top1_error(outputs[0], targets[0])

    def validate(self, model: nn.Module, epoch: int) -> dict[str, float]:  # noqa: ARG002 - the loop tells every task
        """Loss and top-1 error of the validation part; nothing where there is none."""
        if not len(self.parts.validation):
            return {}
        rows = self.parts.validation
        return validation_figures(self._logits(model.eval(), rows), self.labels[rows])

    @torch.inference_mode()
    def _logits(self, model: nn.Module, rows: NDArray[np.int64]) -> torch.Tensor:
        batches = torch.split(self.pixels[rows], _EVALUATION_BATCH)
        with self.precision.autocast(self.device):
            outputs = [model(self.recipe.preprocess.normalise(batch.to(self.device)))[0] for batch in batches]
        return torch.cat(outputs).float().cpu()
