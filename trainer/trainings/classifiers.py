"""Training a classifier: labelled images in, an evaluated bundle out."""

import dataclasses
from pathlib import Path

import torch

from reid.bundle import Bundle
from reid.datasets.classes import LabelledFiles
from reid.kinds import CLASSIFIER, ClassifierBundle
from reid.predictors import ImageClassifier
from trainer.bundling import Origin, code_commit, data_sha256
from trainer.classification import Classification, classify, test_protocol
from trainer.folds import parts_of
from trainer.label_bundle import write_label_bundle
from trainer.loop import Outcome
from trainer.recipes.classifiers import ClassifierRecipe
from trainer.tasks.classifiers import ClassifierTask


class ClassifierTraining:
    """A :class:`~trainer.training.Training` of a classifier; `domain` is what to call the images."""

    def __init__(self, recipe: ClassifierRecipe, images: LabelledFiles, domain: str, device: torch.device) -> None:
        """Raise :class:`~reid.errors.DatasetError` for images that cannot be split or decoded."""
        self.recipe, self.images, self.domain, self.device = recipe, images, domain, device
        self.parts = parts_of(images, recipe)
        self.task = ClassifierTask(images, self.parts, recipe, device)

    def bundle(self, folder: Path, outcome: Outcome, origin: Origin) -> ClassifierBundle:
        """Write the bundle to `folder` and return it; `confusion.png` lies beside it."""
        recipe = self.recipe
        colours = "grey" if recipe.grey else "RGB"
        return write_label_bundle(
            folder,
            self.task.network,
            self._description(origin),
            self._judged,
            what=f"{recipe.architecture} on {colours} images of {recipe.height_px} × {recipe.width_px} px.",
            more={"domain": self.domain, "split_sha256": self.parts.sha256},
            outcome=outcome,
            origin=origin,
        )

    def _judged(self, draft: Path) -> Classification:
        classifier = ImageClassifier.load(draft, str(self.device))
        return classify(classifier, self.images.chosen(self.parts.test), test_protocol(self.images, self.recipe))

    def _description(self, origin: Origin) -> ClassifierBundle:
        return Bundle(
            name=self.recipe.name,
            network=self.recipe.network(len(self.images.label_names)),
            preprocess=self.recipe.preprocess,
            licence=origin.licence,
            recipe=dataclasses.asdict(self.recipe),
            data_sha256=data_sha256(self.images.paths[row] for row in self.parts.train),
            code_commit=code_commit(),
            metrics={},
            calibration=None,
            kind=CLASSIFIER.name,
            labels=self.images.label_names,
        )
