"""A classifier or action bundle judged on labelled files. What is evaluated is what is served."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.bundle import Bundle
from reid.datasets.classes import LabelledFiles
from reid.errors import ClipError, DatasetError
from reid.evaluation.classification import (
    accuracy,
    class_rates,
    confusion_matrix,
    cross_entropy,
    expected_calibration_error,
    mean_class_accuracy,
    top_k_accuracy,
    wilson_interval,
)
from reid.predictors import ActionRecognizer, ImageClassifier
from trainer.folds import parts_of
from trainer.pixels import batches, read_crops
from trainer.progress import mapped
from trainer.recipes.split import SplitRecipe

_BATCH = 64


@dataclass(frozen=True)
class Classification:
    """Scores (N, L) of images or clips with true labels (N,), and under which protocol."""

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
        top_5 = {"top_5_accuracy": top_k_accuracy(self.truth, self.scores, 5)} if len(self.label_names) > 5 else {}
        return top_5 | {
            "accuracy": accuracy(confusion),
            "accuracy_interval": list(wilson_interval(right, total)),
            "loss": cross_entropy(self.truth, self.scores),
            "mean_class_accuracy": mean_class_accuracy(confusion),
            "expected_calibration_error": expected_calibration_error(self.truth, self.scores),
            "num_files": total,
            "confusion": confusion.tolist(),
            "labels": list(self.label_names),
            "rates": {name: asdict(class_rates(confusion, place)) for place, name in enumerate(self.label_names)},
            "protocol": self.protocol,
        }


def classify(classifier: ImageClassifier, images: LabelledFiles, protocol: str) -> Classification:
    """Every image's scores. Raises :class:`DatasetError` for files that do not decode, and labels it does not know."""
    truth = known_labels(classifier.bundle.labels, images)
    scores = [classifier.scores(batch) for batch in batches(read_crops(images.paths), _BATCH)]
    return Classification(truth, np.concatenate(scores), classifier.bundle.labels, protocol)


def recognise(recognizer: ActionRecognizer, clips: LabelledFiles, protocol: str) -> Classification:
    """Every clip's scores. Raises :class:`DatasetError` for clips that do not decode, and labels it does not know."""
    truth = known_labels(recognizer.bundle.labels, clips)

    def scores(path: Path) -> NDArray[np.float32]:
        try:
            windows = recognizer.clip_scores(path.read_bytes())
        except ClipError as error:
            raise DatasetError(f"{path}: {error}") from error
        mean: NDArray[np.float32] = windows.mean(axis=0)
        return mean

    rows = mapped(scores, clips.paths, len(clips.paths), "clips")
    return Classification(truth, np.stack(rows), recognizer.bundle.labels, protocol)


def known_labels(known: Sequence[str], files: LabelledFiles) -> NDArray[np.int64]:
    """The files' labels (N,) as places in the bundle's. Raises :class:`DatasetError` for others."""
    if unknown := sorted({files.label_names[label] for label in files.labels} - set(known)):
        raise DatasetError(f"expected labels that the bundle knows, {list(known)}, got also {unknown}")
    places = np.array([known.index(name) if name in known else -1 for name in files.label_names])
    labels: NDArray[np.int64] = places[files.labels]
    return labels


def judged_part(bundle: Bundle[Any, Any], recipe: SplitRecipe, files: LabelledFiles) -> tuple[LabelledFiles, str]:
    """What a bundle can be judged on in this data, and the protocol's words.

    The test part, if this is what the bundle was trained on: its recipe then gives the split that its metrics name.
    Everything, if it is other data; the words then say how that is known.
    """
    try:
        parts = parts_of(files, recipe)
    except DatasetError as error:
        return files, f"every file, for they are not those of the bundle's own split ({error})"
    if parts.sha256 == bundle.metrics["split_sha256"]:
        return files.chosen(parts.test), test_protocol(files, recipe)
    return (
        files,
        "every file, for they are not those of the bundle's own split; if it was trained on some, this flatters",
    )


def test_protocol(files: LabelledFiles, recipe: SplitRecipe) -> str:
    """The words for the recipe's test part."""
    return recipe.protocol(grouped=files.groups is not None)
