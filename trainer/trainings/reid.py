"""Training an embedding: labelled people in, an evaluated and calibrated bundle out."""

import dataclasses
import tempfile
from pathlib import Path

import torch

from reid.bundle import Bundle, move_bundle, write_bundle, write_description
from reid.kinds import EMBEDDING, EmbeddingBundle
from reid.predictors import Embedder, served_on
from trainer.bundling import Origin, code_commit, data_sha256
from trainer.card import card
from trainer.evaluation import evaluate_split
from trainer.loop import Outcome
from trainer.pixels import check_crops
from trainer.protocol import Protocol
from trainer.recipes.reid import ReidRecipe
from trainer.tasks.reid import ReidTask
from trainer.training_data import TrainingData


class ReidTraining:
    """A :class:`~trainer.training.Training` of an embedding."""

    def __init__(
        self, recipe: ReidRecipe, data: TrainingData, device: torch.device, features: Path | None = None
    ) -> None:
        """What a teacher says is kept in the folder `features` where there is one.

        Raise :class:`~reid.errors.DatasetError` or :class:`~reid.errors.RecipeError` for what cannot be trained.
        """
        self.recipe, self.data, self.device = recipe, data, device
        self.test = data.test.of_first_people(recipe.test_people)
        check_crops(self.test.paths)
        self.task = ReidTask(data.crops, recipe, device, features)

    def bundle(self, folder: Path, outcome: Outcome, origin: Origin) -> EmbeddingBundle:
        """Write the bundle to `folder` and return it.

        It is evaluated as a bundle, read back from its own half-precision file; only a complete one takes the place.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            draft = Path(temporary) / folder.name
            plain = write_bundle(draft, self.task.network, self._description(origin), card="")
            evaluation = evaluate_split(Embedder.load(draft, served_on(self.device)), self.test, Protocol())
            bundle = dataclasses.replace(
                plain, metrics=evaluation.figures(), calibration=evaluation.calibration(self.test.domain)
            )
            text = card(
                bundle,
                outcome,
                command=origin.command,
                notes=origin.notes,
                images_per_second=evaluation.images_per_second,
            )
            write_description(draft, bundle)
            (draft / "card.md").write_text(text)
            move_bundle(draft, folder)
        return bundle

    def _description(self, origin: Origin) -> EmbeddingBundle:
        recipe = self.recipe
        return Bundle(
            name=recipe.name,
            network=recipe.network,
            preprocess=recipe.preprocess(recipe.epochs - 1),
            licence=origin.licence,
            recipe=dataclasses.asdict(recipe) | {"teacher": Path(recipe.teacher).name},
            data_sha256=data_sha256(crop.path for crop in self.data.crops),
            code_commit=code_commit(),
            metrics={},
            calibration=None,
            kind=EMBEDDING.name,
        )
