"""Training an embedding on labelled people."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from reid.datasets.market1501 import Crop, labels_of
from reid.errors import DatasetError
from reid.evaluation.retrieval import evaluate_retrieval
from reid.networks.embedding import EmbeddingNetwork, IdentityClassifier
from reid.precision import Precision, choose_precision
from reid.predictors import embed_tensor
from reid.transforms import PreprocessConfig
from trainer.augment import augment
from trainer.initial_weights import load_initial_weights
from trainer.losses import batch_hard_triplet, teacher_cosine, teacher_pairs
from trainer.pixels import load_pixels
from trainer.recipes import Recipe
from trainer.samplers import people_batches, shuffled_batches
from trainer.teachers import teacher_embeddings

_EVALUATION_BATCH = 128


@dataclass(frozen=True)
class Batch:
    """Normalised (B, 3, H, W) images, (B,) labels and, with a teacher, its (B, T) unit rows; all on the device."""

    images: torch.Tensor
    labels: torch.Tensor
    teacher: torch.Tensor | None


class ReidTask:
    """Embedding network and identity classifier on crops of labelled people; a :class:`~trainer.loop.Task`."""

    def __init__(self, crops: tuple[Crop, ...], recipe: Recipe, device: torch.device) -> None:
        """Read the recipe's part of the crops. Raises :class:`DatasetError` with fewer people than it needs."""
        self.recipe, self.device = recipe, device
        self.crops, self.held_out = hold_out(crops, recipe.hold_out_people)
        self.labels = _contiguous(labels_of(self.crops).pids)
        self._check_people()
        torch.manual_seed(recipe.seed)
        self.network = EmbeddingNetwork(recipe.network)
        load_initial_weights(self.network, recipe.initial_weights)
        self.classifier = IdentityClassifier(
            recipe.embedding_size, self.num_people, dropout=recipe.dropout, bias=recipe.classifier_bias
        )
        self.modules = nn.ModuleDict({"network": self.network, "classifier": self.classifier})
        self.modules.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.teacher = self._teacher_rows()
        self._preprocess: PreprocessConfig | None = None
        self.precision = Precision.FP32
        self.pixels = torch.empty(0)

    @property
    def num_people(self) -> int:
        """Number of training classes P."""
        return int(self.labels.max()) + 1

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches that the crops fill."""
        return len(self.crops) // self.recipe.batch_size

    def parameter_groups(self) -> list[dict[str, Any]]:
        """The backbone at its share of the learning rate, neck and classifier at the whole; frozen ones left out."""
        rate = self.recipe.learning_rate
        head = [*self.network.neck.parameters(), *self.classifier.parameters()]
        return [
            {
                "params": list(self.network.backbone.parameters()),
                "lr": rate * self.recipe.backbone_learning_rate,
            },
            {"params": [parameter for parameter in head if parameter.requires_grad], "lr": rate},
        ]

    def batches(self, epoch: int) -> Iterator[Batch]:
        """The epoch's batches, augmented; a change of crop size decodes the crops and chooses the precision anew."""
        self._decode(self.recipe.preprocess(epoch))
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + epoch)
        for positions in self._positions(epoch):
            yield self._batch(torch.from_numpy(positions), generator)

    def loss(self, batch: Batch) -> torch.Tensor:
        """The recipe's weighted losses; networks run in half precision where it is safe, losses in float32."""
        recipe = self.recipe
        with self.precision.autocast(self.device):
            feature, embedding = self.network.forward_both(batch.images)
            logits = self.classifier(embedding)
        feature, embedding, logits = feature.float(), embedding.float(), logits.float()
        loss = recipe.cross_entropy * F.cross_entropy(logits, batch.labels, label_smoothing=recipe.label_smoothing)
        if recipe.triplet:
            loss = loss + recipe.triplet * batch_hard_triplet(feature, batch.labels, recipe.triplet_margin)
        if batch.teacher is not None and recipe.teacher_cosine:
            loss = loss + recipe.teacher_cosine * teacher_cosine(embedding, batch.teacher)
        if batch.teacher is not None and recipe.teacher_pairs:
            loss = loss + recipe.teacher_pairs * teacher_pairs(embedding, batch.teacher)
        return loss

    def validate(self, epoch: int) -> dict[str, float]:
        """Rank-1 and mAP of the held-out people, each one's crops searched among all the others."""
        if not self.held_out:
            return {}
        vectors = self._embed(self.held_out, self.recipe.preprocess(epoch))
        labels = labels_of(self.held_out)
        result = evaluate_retrieval(vectors, vectors, labels, labels)
        return {"rank_1": round(result.rank(1), 4), "mean_ap": round(result.mean_ap, 4)}

    @torch.inference_mode()
    def _embed(self, crops: tuple[Crop, ...], preprocess: PreprocessConfig) -> NDArray[np.float32]:
        self.network.eval()
        rows = []
        for pixels in torch.split(load_pixels([crop.path for crop in crops], preprocess), _EVALUATION_BATCH):
            with self.precision.autocast(self.device):
                images = preprocess.normalise(pixels.to(self.device))
                rows.append(embed_tensor(self.network, images, flip_average=preprocess.flip_average).cpu())
        vectors: NDArray[np.float32] = torch.cat(rows).numpy()
        return vectors

    def _positions(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        generator = np.random.default_rng((self.recipe.seed, epoch))
        if self.recipe.crops_per_person:
            return people_batches(self.labels, self.recipe.batch_size, self.recipe.crops_per_person, generator)
        return shuffled_batches(len(self.crops), self.recipe.batch_size, generator)

    def _batch(self, positions: torch.Tensor, generator: torch.Generator) -> Batch:
        assert self._preprocess is not None
        pixels = augment(self.pixels[positions], self.recipe, generator).to(self.device)
        return Batch(
            images=self._preprocess.normalise(pixels),
            labels=torch.from_numpy(self.labels)[positions].to(self.device),
            teacher=None if self.teacher is None else self.teacher[positions].to(self.device),
        )

    def _decode(self, preprocess: PreprocessConfig) -> None:
        if preprocess == self._preprocess:
            return
        self.pixels = load_pixels([crop.path for crop in self.crops], preprocess)
        self._preprocess = preprocess
        self.precision = choose_precision(self.network.eval(), preprocess, self.device)
        self.network.train()

    def _teacher_rows(self) -> torch.Tensor | None:
        if not (self.recipe.teacher_cosine or self.recipe.teacher_pairs):
            return None
        return teacher_embeddings(Path(self.recipe.teacher), [crop.path for crop in self.crops])

    def _check_people(self) -> None:
        if len(self.crops) < self.recipe.batch_size:
            raise DatasetError(f"expected at least one batch of {self.recipe.batch_size} crops, got {len(self.crops)}")
        if self.num_people < 2:
            raise DatasetError(f"expected at least 2 people to tell apart, got {self.num_people}")


def hold_out(crops: tuple[Crop, ...], num_people: int) -> tuple[tuple[Crop, ...], tuple[Crop, ...]]:
    """Split off the last `num_people` by pid: (the rest, the held-out). Raises :class:`DatasetError` without a rest."""
    pids = sorted({crop.pid for crop in crops})
    if num_people > len(pids) - 2:
        raise DatasetError(f"expected to hold out fewer than the {len(pids)} people there are, got {num_people}")
    kept_back = set(pids[len(pids) - num_people :])
    rest = tuple(crop for crop in crops if crop.pid not in kept_back)
    return rest, tuple(crop for crop in crops if crop.pid in kept_back)


def _contiguous(pids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Person numbers → training classes 0…P-1."""
    labels: NDArray[np.int64] = np.unique(pids, return_inverse=True)[1].astype(np.int64)
    return labels
