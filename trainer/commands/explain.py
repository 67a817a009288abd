"""`reid-trainer explain`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from trainer.commands.shared import one_line_errors
from trainer.explain import TOPICS


class Topic(StrEnum):
    """What can be explained."""

    ACTIVATIONS = "activations"
    LOSSES = "losses"
    GRADIENTS = "gradients"


def explain(
    topic: Annotated[Topic, typer.Argument(help="What to explain.")],
    out: Annotated[Path, typer.Option(help="Folder for the picture and its numbers.")] = Path(),
) -> None:
    """Draw the lecture's functions, or rerun its claims as small experiments: a PNG, a CSV, and what they show."""
    with one_line_errors():
        out.mkdir(parents=True, exist_ok=True)
        for line in TOPICS[topic](out):
            typer.echo(line)
        typer.echo(f"{out / topic}.png and .csv")
