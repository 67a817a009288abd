"""A bundle that tells labels apart: written, judged as it will be served, described, put in its place."""

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from reid.bundle import Arguments, Bundle, Preprocess, move_bundle, write_bundle, write_description
from trainer.bundling import Origin
from trainer.class_card import class_card
from trainer.classification import Classification
from trainer.loop import Outcome
from trainer.plots import draw_confusion


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
