"""Training a classifier: labelled images in, an evaluated bundle out."""

from pathlib import Path

import torch

from reid.datasets.classes import LabelledFiles
from reid.kinds import CLASSIFIER, ClassifierBundle
from reid.predictors import ImageClassifier
from trainer.bundling import Origin
from trainer.classification import Classification, classify, test_protocol
from trainer.folds import parts_of
from trainer.label_bundle import describe, write_label_bundle
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
        recipe, images = self.recipe, self.images
        network = recipe.network(len(images.label_names))
        colours = "grey" if recipe.grey else "RGB"
        return write_label_bundle(
            folder,
            self.task.network,
            describe(CLASSIFIER, network, recipe.preprocess, recipe, images, self.parts, origin.licence),
            self._judged,
            what=f"{recipe.architecture} on {colours} images of {recipe.height_px} × {recipe.width_px} px.",
            more={"domain": self.domain, "split_sha256": self.parts.sha256},
            outcome=outcome,
            origin=origin,
        )

    def _judged(self, draft: Path) -> Classification:
        classifier = ImageClassifier.load(draft, str(self.device))
        return classify(classifier, self.images.chosen(self.parts.test), test_protocol(self.images, self.recipe))
