"""Training a classifier: labelled images in, an evaluated bundle out."""

import dataclasses
import tempfile
from pathlib import Path

import torch

from reid.bundle import Bundle, move_bundle, write_bundle, write_description
from reid.datasets.classes import LabelledImages
from reid.kinds import CLASSIFIER, ClassifierBundle
from reid.predictors import ImageClassifier
from trainer.bundling import Origin, code_commit, data_sha256
from trainer.class_card import class_card
from trainer.classification import classify, test_protocol
from trainer.folds import parts_of
from trainer.loop import Outcome
from trainer.plots import draw_confusion
from trainer.recipes.classifiers import ClassifierRecipe
from trainer.tasks.classifiers import ClassifierTask


class ClassifierTraining:
    """A :class:`~trainer.training.Training` of a classifier; `domain` is what to call the images."""

    def __init__(self, recipe: ClassifierRecipe, images: LabelledImages, domain: str, device: torch.device) -> None:
        """Raise :class:`~reid.errors.DatasetError` for images that cannot be split or decoded."""
        self.recipe, self.images, self.domain, self.device = recipe, images, domain, device
        self.parts = parts_of(images, recipe)
        self.task = ClassifierTask(images, self.parts, recipe, device)

    def bundle(self, folder: Path, outcome: Outcome, origin: Origin) -> ClassifierBundle:
        """Write the bundle to `folder` and return it; `confusion.png` lies beside it.

        It is evaluated as a bundle, read back from its own half-precision file; only a complete one takes the place.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            draft = Path(temporary) / folder.name
            plain = write_bundle(draft, self.task.network, self._description(origin), card="")
            classifier = ImageClassifier.load(draft, str(self.device))
            protocol = test_protocol(self.images, self.recipe)
            judged = classify(classifier, self.images.chosen(self.parts.test), protocol)
            figures = judged.figures() | {"domain": self.domain, "split_sha256": self.parts.sha256}
            bundle = dataclasses.replace(plain, metrics=figures)
            write_description(draft, bundle)
            (draft / "card.md").write_text(class_card(bundle, outcome, command=origin.command, notes=origin.notes))
            move_bundle(draft, folder)
        draw_confusion(folder.parent / "confusion.png", f"{bundle.name}: {protocol}", judged.confusion, bundle.labels)
        return bundle

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
