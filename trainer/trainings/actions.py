"""Training an action recogniser: labelled clips in, an evaluated bundle out."""

import dataclasses
from contextlib import closing
from pathlib import Path

import torch

from reid.bundle import Bundle
from reid.datasets.classes import LabelledFiles
from reid.kinds import ACTION, ActionBundle
from reid.predictors import ActionRecognizer
from trainer.bundling import Origin, code_commit, data_sha256
from trainer.classification import Classification, recognise, test_protocol
from trainer.folds import parts_of
from trainer.label_bundle import write_label_bundle
from trainer.loop import Outcome
from trainer.recipes.actions import ActionRecipe
from trainer.tasks.actions import ActionTask


class ActionTraining:
    """A :class:`~trainer.training.Training` of an action recogniser; `domain` is what to call the clips."""

    def __init__(self, recipe: ActionRecipe, clips: LabelledFiles, domain: str, device: torch.device) -> None:
        """Raise :class:`~reid.errors.DatasetError` for clips that cannot be split or decoded."""
        self.recipe, self.clips, self.domain, self.device = recipe, clips, domain, device
        self.parts = parts_of(clips, recipe)
        self.task = ActionTask(clips, self.parts, recipe, device)

    def bundle(self, folder: Path, outcome: Outcome, origin: Origin) -> ActionBundle:
        """Write the bundle to `folder` and return it; `confusion.png` lies beside it."""
        recipe = self.recipe
        return write_label_bundle(
            folder,
            self.task.network,
            self._description(origin),
            self._judged,
            what=f"{recipe.backbone} on {recipe.num_frames} frames ({recipe.policy}) of {recipe.size_px} × "
            f"{recipe.size_px} px, head `{recipe.head}`.",
            more={"domain": self.domain, "split_sha256": self.parts.sha256},
            outcome=outcome,
            origin=origin,
        )

    def _judged(self, draft: Path) -> Classification:
        with closing(ActionRecognizer.load(draft, str(self.device))) as recognizer:
            return recognise(recognizer, self.clips.chosen(self.parts.test), test_protocol(self.clips, self.recipe))

    def _description(self, origin: Origin) -> ActionBundle:
        return Bundle(
            name=self.recipe.name,
            network=self.recipe.network(len(self.clips.label_names)),
            preprocess=self.recipe.preprocess,
            licence=origin.licence,
            recipe=dataclasses.asdict(self.recipe),
            data_sha256=data_sha256(self.clips.paths[row] for row in self.parts.train),
            code_commit=code_commit(),
            metrics={},
            calibration=None,
            kind=ACTION.name,
            labels=self.clips.label_names,
        )
