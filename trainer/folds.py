"""Which files are trained on, watched and tested: folds that keep labels in proportion and groups whole."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from reid.datasets.classes import LabelledFiles
from reid.datasets.hmdb51 import TEST, TRAIN, official_parts
from reid.errors import DatasetError
from trainer.recipes.actions import ActionRecipe
from trainer.recipes.split import SplitRecipe

_Rows = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]  # train, validation, test


@dataclass(frozen=True)
class Parts:
    """Row numbers, each sorted; `sha256` is of which file is where, so that two results can be known to share it."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    sha256: str


def parts_of(images: LabelledFiles, recipe: SplitRecipe) -> Parts:
    """The recipe's parts. Raises :class:`DatasetError` when a label, or a group, is too rare to be split so."""
    train, validation, test = _official(images, recipe) or _folded(images, recipe)
    if unlearnt := sorted({images.label_names[label] for label in images.labels} - _names(images, train)):
        raise DatasetError(f"expected images of every label to train on, got none of {unlearnt}: too few groups")
    if not len(test) or (recipe.watches_loss and not len(validation)):
        raise DatasetError(f"expected every fold to hold files, got an empty one of {recipe.folds}: fewer folds")
    return Parts(train, validation, test, _digest(images, (train, validation, test)))


def _official(images: LabelledFiles, recipe: SplitRecipe) -> _Rows | None:
    """HMDB51's own parts, where the recipe asks for them; it holds nothing back to watch."""
    if not isinstance(recipe, ActionRecipe) or not recipe.official_split:
        return None
    part_of = official_parts(images.paths, recipe.official_split)
    train, test = (np.flatnonzero(part_of == part) for part in (TRAIN, TEST))
    if not len(test):
        raise DatasetError(f"expected clips to test on in the official split {recipe.official_split}, got none")
    return train, _joined([]), test


def _folded(images: LabelledFiles, recipe: SplitRecipe) -> _Rows:
    _check_labels(images, recipe.folds)
    folds = _folds(images, recipe)
    later = [folds[(recipe.fold + step) % recipe.folds] for step in range(recipe.folds)]
    return _joined(later[1 + recipe.validation_folds :]), _joined(later[1 : 1 + recipe.validation_folds]), later[0]


def _folds(images: LabelledFiles, recipe: SplitRecipe) -> list[NDArray[np.int64]]:
    kind = StratifiedKFold if images.groups is None else StratifiedGroupKFold
    splitter = kind(recipe.folds, shuffle=True, random_state=recipe.split_seed)
    rows = np.zeros(len(images.labels))
    return [np.sort(test) for _, test in splitter.split(rows, images.labels, images.groups)]


def _check_labels(images: LabelledFiles, folds: int) -> None:
    if images.groups is not None and (groups := len(np.unique(images.groups))) < folds:
        raise DatasetError(f"expected at least {folds} groups for {folds} folds, got {groups}")
    counts = np.bincount(images.labels, minlength=len(images.label_names))
    if (rarest := counts.min()) < 2:
        raise DatasetError(
            f"expected at least 2 images of every label, got {rarest} of {images.label_names[int(counts.argmin())]!r}"
        )
    if images.groups is None and rarest < folds:
        raise DatasetError(
            f"expected at least {folds} images of every label for {folds} folds, "
            f"got {rarest} of {images.label_names[int(counts.argmin())]!r}"
        )


def _joined(folds: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.sort(np.concatenate(folds)) if folds else np.empty(0, dtype=np.int64)


def _names(images: LabelledFiles, rows: NDArray[np.int64]) -> set[str]:
    return {images.label_names[label] for label in images.labels[rows]}


def _digest(images: LabelledFiles, parts: tuple[NDArray[np.int64], ...]) -> str:
    digest = hashlib.sha256()
    for number, rows in enumerate(parts):
        for row in rows:
            digest.update(f"{number} {images.paths[row].parent.name}/{images.paths[row].name}\n".encode())
    return digest.hexdigest()
