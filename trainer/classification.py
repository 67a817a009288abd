"""A classifier bundle judged on labelled images. What is evaluated is what is served."""

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reid.datasets.classes import LabelledImages
from reid.errors import DatasetError
from reid.evaluation.classification import (
    accuracy,
    class_rates,
    confusion_matrix,
    cross_entropy,
    expected_calibration_error,
    mean_class_accuracy,
    wilson_interval,
)
from reid.predictors import ImageClassifier
from trainer.folds import parts_of
from trainer.pixels import read_crops
from trainer.recipes.classifiers import ClassifierRecipe
from trainer.recipes.fields import recipe_from_json

_BATCH = 64


@dataclass(frozen=True)
class Classification:
    """Scores (N, L) of images with true labels (N,), and under which protocol."""

    truth: NDArray[np.int64]
    scores: NDArray[np.float32]
    label_names: tuple[str, ...]
    protocol: str

    @property
    def confusion(self) -> NDArray[np.int64]:
        """(L, L) counts: rows are true labels."""
        return confusion_matrix(self.truth, self.scores.argmax(axis=1), len(self.label_names))

    def figures(self) -> dict[str, Any]:
        """The figures under the names that `evaluate --json` and a bundle's card use."""
        confusion = self.confusion
        right, total = int(np.trace(confusion)), int(confusion.sum())
        return {
            "accuracy": accuracy(confusion),
            "accuracy_interval": list(wilson_interval(right, total)),
            "loss": cross_entropy(self.truth, self.scores),
            "mean_class_accuracy": mean_class_accuracy(confusion),
            "expected_calibration_error": expected_calibration_error(self.truth, self.scores),
            "num_images": total,
            "confusion": confusion.tolist(),
            "labels": list(self.label_names),
            "rates": {name: asdict(class_rates(confusion, place)) for place, name in enumerate(self.label_names)},
            "protocol": self.protocol,
        }


def classify(classifier: ImageClassifier, images: LabelledImages, protocol: str) -> Classification:
    """Every image's scores. Raises :class:`DatasetError` for files that do not decode, and labels it does not know."""
    known = classifier.bundle.labels
    if unknown := sorted({images.label_names[label] for label in images.labels} - set(known)):
        raise DatasetError(f"expected labels that the bundle knows, {list(known)}, got also {unknown}")
    places = np.array([known.index(name) if name in known else -1 for name in images.label_names])
    scores = [classifier.scores(batch) for batch in _batches(read_crops(images.paths))]
    return Classification(places[images.labels], np.concatenate(scores), known, protocol)


def judged_part(classifier: ImageClassifier, images: LabelledImages) -> tuple[LabelledImages, str]:
    """What a bundle can be judged on in this data, and the protocol's words.

    The test part, if this is what the bundle was trained on: its recipe then gives the split that its metrics name.
    Everything, if it is other data.
    """
    recipe = recipe_from_json(ClassifierRecipe, classifier.bundle.recipe)
    try:
        parts = parts_of(images, recipe)
    except DatasetError:  # it could not have been split so, and therefore is other data
        return images, "every image"
    if parts.sha256 == classifier.bundle.metrics["split_sha256"]:
        return images.chosen(parts.test), test_protocol(images, recipe)
    return images, "every image"


def test_protocol(images: LabelledImages, recipe: ClassifierRecipe) -> str:
    """The words for the recipe's test part."""
    how = "no group on both sides" if images.groups is not None else "random within labels"
    return f"fold {recipe.fold + 1} of {recipe.folds}, {how}"


def _batches(images: Iterator[Image.Image]) -> Iterator[list[Image.Image]]:
    return iter(lambda: list(itertools.islice(images, _BATCH)), [])
