"""Training an embedding on labelled people."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from reid.datasets.crop import Crop, labels_of
from reid.errors import DatasetError, RecipeError
from reid.evaluation.retrieval import evaluate_retrieval
from reid.networks.embedding import EmbeddingNetwork, IdentityClassifier
from reid.precision import Precision, choose_precision
from reid.predictors import embed_tensor
from reid.predictors.device import moved
from reid.transforms import PreprocessConfig
from trainer.augment import augment
from trainer.bundling import data_sha256, labelled_sha256
from trainer.chimeras import NOBODY, compose, draw_chimeras
from trainer.computed_once import computed_once
from trainer.distributed import World
from trainer.held_out import first_people, hold_out
from trainer.initial_weights import load_initial_weights
from trainer.loop import Batch, Tensors
from trainer.losses.reid import CentreLoss, batch_hard_triplet, circle, teacher_cosine, teacher_pairs
from trainer.pixels import check_crops, load_pixels
from trainer.recipes.reid import ReidRecipe
from trainer.samplers import people_batches, shuffled_batches
from trainer.schedules import batch_size_at
from trainer.tasks.classification import validation_figures
from trainer.teachers import teacher_embeddings, teacher_files, teacher_of_pixels
from trainer.weight_gradients import use_products

_EVALUATION_BATCH = 128


class IdentityModel(nn.Module):
    """The embedding network, and the classifier and class centres that only training needs."""

    def __init__(self, recipe: ReidRecipe, num_people: int) -> None:
        super().__init__()
        self.network = EmbeddingNetwork(recipe.network)
        self.classifier = IdentityClassifier(
            recipe.embedding_size, num_people, dropout=recipe.dropout, bias=recipe.classifier_bias
        )

        self.centre_loss = CentreLoss(num_people if recipe.centre else 0, recipe.embedding_size)

    def forward(self, images: torch.Tensor) -> Tensors:
        """(B, 3, H, W) → feature before the norm (B, D), embedding (B, D), logits (B, P)."""
        feature, embedding = self.network.forward_both(images)
        return feature, embedding, self.classifier(embedding)


class ReidTask:
    """Crops of labelled people; a :class:`~trainer.loop.Task`."""

    def __init__(
        self, crops: Sequence[Crop], recipe: ReidRecipe, device: torch.device, store: Path | None = None
    ) -> None:
        """Take the recipe's part of the crops; what a teacher says of them is kept in the folder `store`.

        Raises :class:`DatasetError` with fewer people than it needs.
        """
        self.recipe, self.device = recipe, device
        chosen = first_people(crops, recipe.people)
        self.crops, self.held_out = hold_out(chosen, people=recipe.hold_out_people, crops_each=recipe.hold_out_crops)
        check_crops([crop.path for crop in (*self.held_out.people, *self.held_out.crops)])
        self.pids = np.unique(labels_of(self.crops).pids)
        self._check_people()
        torch.manual_seed(recipe.seed)
        self.model = IdentityModel(recipe, len(self.pids))
        load_initial_weights(self.network, recipe.initial_weights, [crop.path for crop in self.crops])
        if device.type == "cpu":
            use_products(self.model)
        # torch's types know `to` with a memory format for tensors only.
        self.model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.chimeras = draw_chimeras(len(self.crops), recipe.chimeras, recipe.seed, recipe.dyed)
        self.labels = np.append(self._labels(self.crops), np.full(len(self.chimeras), NOBODY))
        self.teacher = self._teacher_rows(store)
        self.precision = Precision.FP32
        self._preprocess: PreprocessConfig | None = None
        self._pixels = torch.empty(0)

    @property
    def network(self) -> EmbeddingNetwork:
        """What a bundle keeps."""
        return self.model.network

    def data_sha256(self) -> str:
        """Of the crops and whom they show."""
        return labelled_sha256((crop.path for crop in self.crops), self.labels)

    def steps_per_epoch(self, epoch: int) -> int:
        """Whole batches that the crops fill."""
        return len(self.labels) // batch_size_at(self.recipe, epoch)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The backbone at its share of the learning rate, neck and classifier at the whole; frozen ones left out."""
        rate = self.recipe.learning_rate
        head = [*self.network.neck.parameters(), *self.model.classifier.parameters()]
        return [
            {
                "params": list(self.network.backbone.parameters()),
                "lr": rate * self.recipe.backbone_learning_rate,
            },
            {"params": [parameter for parameter in head if parameter.requires_grad], "lr": rate},
        ]

    def batches(self, epoch: int, world: World) -> Iterator[Batch]:
        """This process's crops of each batch, augmented; a change of crop size decodes and chooses precision anew."""
        self._prepare(self.recipe.preprocess(epoch))
        generator = world.generator(self.recipe.seed, epoch)
        for positions in self._positions(epoch):
            yield self._batch(torch.from_numpy(world.share(positions)), generator)

    def loss(self, outputs: Tensors, targets: Tensors) -> torch.Tensor:
        """The recipe's weighted losses of a whole batch."""
        feature, embedding, logits = outputs
        labels, *teacher = targets
        recipe = self.recipe
        loss = recipe.cross_entropy * self._cross_entropy(logits, labels)
        if recipe.triplet:
            loss = loss + recipe.triplet * batch_hard_triplet(feature, labels, recipe.triplet_margin)
        if recipe.circle:
            loss = loss + recipe.circle * circle(feature, labels, recipe.circle_margin, recipe.circle_scale)
        if recipe.centre:
            loss = loss + recipe.centre * self.model.centre_loss(feature, labels)
        if teacher and recipe.teacher_cosine:
            loss = loss + recipe.teacher_cosine * teacher_cosine(embedding, teacher[0])
        if teacher and recipe.teacher_pairs:
            loss = loss + recipe.teacher_pairs * teacher_pairs(embedding, teacher[0])
        return loss

    def top1_error(self, outputs: Tensors, targets: Tensors) -> float:
        """The share of people's crops whose most likely person is another."""
        wrong = (outputs[2].argmax(1) != targets[0]) & (targets[0] != NOBODY)
        return float(wrong.sum() / _num_people_crops(targets[0]))

    def validate(self, model: nn.Module, epoch: int) -> dict[str, float]:
        """Rank-1 and mAP of people held out, loss and top-1 error of crops held out."""
        assert isinstance(model, IdentityModel)
        model.eval()
        preprocess = self.recipe.preprocess(epoch)
        with self.precision.autocast(self.device):
            return self._retrieval_figures(model, preprocess) | self._classification_figures(model, preprocess)

    def _cross_entropy(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The mean over people's crops; 0 for a batch of chimeras only."""
        total = F.cross_entropy(
            logits, labels, ignore_index=NOBODY, reduction="sum", label_smoothing=self.recipe.label_smoothing
        )
        return total / _num_people_crops(labels)

    @torch.inference_mode()
    def _retrieval_figures(self, model: IdentityModel, preprocess: PreprocessConfig) -> dict[str, float]:
        """Each crop of the people held out, searched among all the others."""
        if not self.held_out.people:
            return {}
        rows = [
            embed_tensor(model.network, images, flip_average=preprocess.flip_average).cpu()
            for images in self._images(self.held_out.people, preprocess)
        ]
        vectors, labels = torch.cat(rows).numpy(), labels_of(self.held_out.people)
        result = evaluate_retrieval(vectors, vectors, labels, labels)
        return {"rank_1": round(result.rank(1), 4), "mean_ap": round(result.mean_ap, 4)}

    @torch.inference_mode()
    def _classification_figures(self, model: IdentityModel, preprocess: PreprocessConfig) -> dict[str, float]:
        if not self.held_out.crops:
            return {}
        logits = torch.cat([model(images)[2].float().cpu() for images in self._images(self.held_out.crops, preprocess)])
        labels = torch.from_numpy(self._labels(self.held_out.crops))
        return validation_figures(logits, labels)

    def _images(self, crops: Sequence[Crop], preprocess: PreprocessConfig) -> Iterator[torch.Tensor]:
        """Normalised batches on the device."""
        for pixels in torch.split(load_pixels([crop.path for crop in crops], preprocess), _EVALUATION_BATCH):
            yield preprocess.normalise(pixels.to(self.device))

    def _positions(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        generator = np.random.default_rng((self.recipe.seed, epoch))
        batch_size = batch_size_at(self.recipe, epoch)
        if self.recipe.crops_per_person:
            return people_batches(self.labels, batch_size, self.recipe.crops_per_person, generator)
        return shuffled_batches(len(self.labels), batch_size, generator)

    def _batch(self, positions: torch.Tensor, generator: torch.Generator) -> Batch:
        assert self._preprocess is not None
        pixels = moved(augment(self._pixels[positions], self.recipe, generator), self.device)
        targets = [torch.from_numpy(self.labels), *([] if self.teacher is None else [self.teacher])]
        return Batch(self._preprocess.normalise(pixels), tuple(target[positions].to(self.device) for target in targets))

    def _prepare(self, preprocess: PreprocessConfig) -> None:
        if preprocess == self._preprocess:
            return
        self._pixels = self._load_pixels(preprocess)
        self._preprocess = preprocess
        self.precision = choose_precision(self.network.eval(), preprocess, self.device)
        self.network.train()

    def _labels(self, crops: Sequence[Crop]) -> NDArray[np.int64]:
        """Person numbers → training classes 0…P-1."""
        labels: NDArray[np.int64] = np.searchsorted(self.pids, labels_of(crops).pids)
        return labels

    def _teacher_rows(self, store: Path | None) -> torch.Tensor | None:
        if not (self.recipe.teacher_cosine or self.recipe.teacher_pairs):
            return None
        teacher = Path(self.recipe.teacher)
        paths = [crop.path for crop in self.crops]
        size = teacher_embeddings(teacher, paths[:1]).shape[1]  # of one first: all take minutes
        if self.recipe.teacher_cosine and size != self.recipe.embedding_size:
            raise RecipeError(
                f"teacher_cosine: expected a teacher of the embedding's size {self.recipe.embedding_size}, "
                f"got one of {size}; teacher_pairs takes any"
            )
        largest = self.recipe.preprocess(self.recipe.epochs - 1)

        def judge() -> torch.Tensor:
            rows = teacher_embeddings(teacher, paths)
            if not len(self.chimeras):
                return rows
            return torch.cat([rows, teacher_of_pixels(teacher, self._load_pixels(largest)[len(self.crops) :])])

        def depends_on() -> dict[str, object]:
            return {
                "teacher": data_sha256(teacher_files(teacher)),
                "crops": data_sha256(paths),
                "chimeras": [len(self.chimeras), self.recipe.seed, self.recipe.dyed, dataclasses.asdict(largest)],
            }

        return computed_once(store, depends_on, judge)

    def _load_pixels(self, preprocess: PreprocessConfig) -> torch.Tensor:
        """The crops, then their chimeras."""
        pixels = load_pixels([crop.path for crop in self.crops], preprocess)
        return torch.cat([pixels, compose(pixels, self.chimeras)])

    def _check_people(self) -> None:
        if len(self.crops) < self.recipe.batch_size:
            raise DatasetError(f"expected at least one batch of {self.recipe.batch_size} crops, got {len(self.crops)}")
        if len(self.pids) < 2:
            raise DatasetError(f"expected at least 2 people to tell apart, got {len(self.pids)}")


def _num_people_crops(labels: torch.Tensor) -> torch.Tensor:
    """How many of a batch are no chimeras, and at least 1, to divide by."""
    return (labels != NOBODY).sum().clamp(min=1)
