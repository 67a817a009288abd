"""Training an action recogniser: labelled clips in, an evaluated bundle out."""

from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from reid.datasets.classes import LabelledFiles
from reid.kinds import ACTION, ActionBundle
from reid.predictors import ActionRecognizer, served_on
from trainer.bundling import Origin
from trainer.classification import Classification, recognise, test_protocol
from trainer.folds import parts_of
from trainer.label_bundle import describe, write_label_bundle
from trainer.loop import Outcome
from trainer.recipes.actions import ActionRecipe
from trainer.tasks.action_heads import HeadTask
from trainer.tasks.action_networks import NetworkTask
from trainer.tasks.actions import ActionTask


class ActionTraining:
    """A :class:`~trainer.training.Training` of an action recogniser; `domain` is what to call the clips."""

    def __init__(
        self,
        recipe: ActionRecipe,
        clips: LabelledFiles,
        domain: str,
        device: torch.device,
        features: Path | None = None,
    ) -> None:
        """Features are kept in the folder `features` where there is one.

        Raise :class:`~reid.errors.DatasetError` for clips that cannot be split or decoded.
        """
        self.recipe, self.clips, self.domain, self.device = recipe, clips, domain, device
        self.parts = parts_of(clips, recipe)
        self.task: ActionTask = (
            NetworkTask(clips, self.parts, recipe, device)
            if recipe.frames_learning_rate
            else HeadTask(clips, self.parts, recipe, device, features)
        )

    def figures(self) -> dict[str, Any]:
        """What the bundle's metrics would be, from the features there are: no clip is looked at again.

        `own_loss` is the recipe's own, of the test part.
        """
        test, task = self.parts.test, self.task
        logits = task.logits(task.model, test)
        scores = logits.softmax(dim=1).numpy()
        protocol = test_protocol(self.clips, self.recipe)
        judged = Classification(self.clips.labels[test], scores, self.clips.label_names, protocol)
        own_loss = task.loss((logits,), (task.labels[test],)).item()
        return judged.figures() | self._more | {"own_loss": own_loss}

    def bundle(self, folder: Path, outcome: Outcome, origin: Origin) -> ActionBundle:
        """Write the bundle to `folder` and return it; `confusion.png` lies beside it."""
        recipe, clips = self.recipe, self.clips
        network = recipe.network(len(clips.label_names))
        return write_label_bundle(
            folder,
            self.task.network,
            describe(ACTION, network, recipe.preprocess, recipe, clips, self.parts, origin.licence),
            self._judged,
            what=f"{recipe.backbone} on {recipe.num_frames} frames ({recipe.policy}) of {recipe.size_px} × "
            f"{recipe.size_px} px, head `{recipe.head}`.",
            more=self._more,
            outcome=outcome,
            origin=origin,
        )

    @property
    def _more(self) -> dict[str, Any]:
        return {"domain": self.domain, "split_sha256": self.parts.sha256}

    def _judged(self, draft: Path) -> Classification:
        with closing(ActionRecognizer.load(draft, served_on(self.device))) as recognizer:
            return recognise(recognizer, self.clips.chosen(self.parts.test), test_protocol(self.clips, self.recipe))
