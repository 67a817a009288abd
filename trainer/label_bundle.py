"""A bundle that tells labels apart: written, judged as it will be served, described, put in its place."""

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from reid.bundle import Arguments, Bundle, Kind, Preprocess, move_bundle, write_bundle, write_description
from reid.datasets.classes import LabelledFiles
from trainer.bundling import Origin, code_commit, data_sha256
from trainer.class_card import class_card
from trainer.classification import Classification
from trainer.folds import Parts
from trainer.loop import Outcome
from trainer.plots import draw_confusion
from trainer.recipes.split import SplitRecipe


def write_label_bundle(
    folder: Path,
    network: nn.Module,
    description: Bundle[Arguments, Preprocess],
    judge: Callable[[Path], Classification],
    *,
    what: str,
    more: dict[str, Any],
    outcome: Outcome,
    origin: Origin,
) -> Bundle[Arguments, Preprocess]:
    """Write the bundle to `folder` and return it; `confusion.png` lies beside it.

    `judge` is given the draft's folder: it is evaluated as a bundle, read back from its own half-precision file, and
    only a complete one takes the place. `what` is the card's first line, `more` what the metrics say besides.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        draft = Path(temporary) / folder.name
        plain = write_bundle(draft, network, description, card="")
        judged = judge(draft)
        bundle = dataclasses.replace(plain, metrics=judged.figures() | more)
        write_description(draft, bundle)
        (draft / "card.md").write_text(class_card(bundle, what, outcome, command=origin.command, notes=origin.notes))
        move_bundle(draft, folder)
    draw_confusion(
        folder.parent / "confusion.png", f"{bundle.name}: {judged.protocol}", judged.confusion, bundle.labels
    )
    return bundle


def describe(
    kind: Kind[Arguments, Preprocess, Any],
    network: Arguments,
    preprocess: Preprocess,
    recipe: SplitRecipe,
    files: LabelledFiles,
    parts: Parts,
    licence: str,
) -> Bundle[Arguments, Preprocess]:
    """What such a bundle says of itself before it is judged."""
    return Bundle(
        name=recipe.name,
        network=network,
        preprocess=preprocess,
        licence=licence,
        recipe=dataclasses.asdict(recipe),
        data_sha256=data_sha256(files.paths[row] for row in parts.train),
        code_commit=code_commit(),
        metrics={},
        calibration=None,
        kind=kind.name,
        labels=files.label_names,
    )
