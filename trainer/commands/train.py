"""`reid-trainer train`."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from reid.datasets.generated import write_market_folder
from reid.predictors import resolve_device
from trainer.bundling import Origin
from trainer.commands.figures import print_figures
from trainer.commands.labelled_data import Data
from trainer.commands.shared import Device, one_line_errors, overrides
from trainer.distributed import World, join_world
from trainer.loop import run
from trainer.recipes.catalogue import RECIPES, recipe_named
from trainer.training import training_of


def train(
    recipe: Annotated[str, typer.Argument(help=f"One of: {', '.join(sorted(RECIPES))}.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the run: recipe, log, checkpoint, and `bundle/` at the end.")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Override one recipe field; may be repeated."),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the run's last checkpoint.")] = False,
    device: Device = "auto",
    licence: Annotated[str, typer.Option(help="Terms of the training data, for the bundle's card.")] = "not stated",
    notes: Annotated[Path | None, typer.Option(help="A Markdown file to end the bundle's card with.")] = None,
) -> None:
    """Train a recipe on labelled people, or on drawn ones (`--data generated`), and write a bundle.

    A checkpoint is written after every epoch; `--resume` goes on from it and gives the same losses as a run that was
    never interrupted, without asking a teacher or a frozen network again. At the end the bundle is written to
    `OUT/bundle` and evaluated on the query and gallery parts of Market-1501, or on the people of your own that were
    kept back.
    """
    with one_line_errors():
        chosen = recipe_named(recipe, overrides(set_ or []))
        card_notes = notes.read_text() if notes else ""  # read now: a wrong path must not cost a whole run
        world, own_device = join_world(resolve_device(device))
        features = out / "features"
        training = training_of(chosen, _folder(data, out, world), own_device, features)
        outcome = run(training.task, chosen, out, world, resume=resume)
        world.leave()
        if not world.leads:
            return
        if outcome.verdict != "finished":
            typer.echo(f"reid-trainer: {outcome.verdict}", err=True)
            raise typer.Exit(1)
        origin = Origin(
            licence=licence,
            command=shlex.join(["reid-trainer", *sys.argv[1:]]),
            notes=card_notes,
        )
        bundle = training.bundle(out / "bundle", outcome, origin)
        if features.exists():
            shutil.rmtree(features)  # only a run that goes on needs them
        typer.echo(f"bundle {bundle.id[:12]} in {out / 'bundle'}")
        print_figures(bundle.kind, bundle.metrics)


def _folder(data: Path, out: Path, world: World) -> Path:
    """`data` itself, or for the word `generated`, people drawn now and written below `out`."""
    if data != Path("generated"):
        return data
    folder = out / "generated"
    if world.leads and not folder.exists():
        write_market_folder(folder, train_people=16, test_people=16, cameras=2, per_camera=4)
    world.meet()
    return folder
