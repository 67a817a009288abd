"""From a recipe and data to a task that the loop can run and a bundle at its end, whatever the kind of model."""

from pathlib import Path
from typing import Any, Protocol

import torch

from reid.bundle import Bundle
from reid.datasets.classes import read_classes
from reid.datasets.split import labelled_name
from reid.datasets.videos import Grouping, read_videos
from trainer.bundling import Origin
from trainer.loop import Outcome, Task
from trainer.recipes.actions import ActionRecipe
from trainer.recipes.classifiers import ClassifierRecipe
from trainer.recipes.reid import ReidRecipe
from trainer.recipes.run import RunRecipe
from trainer.training_data import read_training_data
from trainer.trainings.actions import ActionTraining
from trainer.trainings.classifiers import ClassifierTraining
from trainer.trainings.reid import ReidTraining


class Training(Protocol):
    """What commands and studies ask of a kind of model."""

    @property
    def task(self) -> Task:
        """What the loop runs."""
        ...

    def bundle(self, folder: Path, outcome: Outcome, origin: Origin) -> Bundle[Any, Any]:
        """Write what was learned as an evaluated bundle, whole or not at all, and return it."""
        ...


def training_of(recipe: RunRecipe, data: Path, device: torch.device, features: Path | None = None) -> Training:
    """Read the data that the recipe's kind wants; what a frozen network says of it is kept in the folder `features`.

    Raises :class:`~reid.errors.ReidError` for what cannot be trained.
    """
    match recipe:
        case ReidRecipe():
            return ReidTraining(recipe, read_training_data(data), device, features)
        case ClassifierRecipe():
            return ClassifierTraining(recipe, read_classes(data), labelled_name(data), device)
        case ActionRecipe():
            clips = read_videos(data, Grouping(recipe.grouping))
            return ActionTraining(recipe, clips, labelled_name(data), device, features)
        case _:
            raise AssertionError(f"no training for {type(recipe).__name__}")
