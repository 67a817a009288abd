"""The command `reid-trainer`. Each command says what it reads, what it writes, and what it prints."""

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from reid import threads
from reid.errors import ReidError

threads.configure()

from reid.datasets.generated import write_market_folder
from reid.datasets.market1501 import Market1501, dataset_root, read_market1501
from reid.predictors import Embedder, resolve_device
from trainer.embedding_file import embed_folder
from trainer.evaluation import Evaluation
from trainer.evaluation import evaluate as evaluate_bundle
from trainer.export import Origin, export_bundle
from trainer.loop import run
from trainer.recipes import RECIPES, recipe_named
from trainer.report import write_report
from trainer.tasks.reid import ReidTask

app = typer.Typer(
    name="reid-trainer",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="""Train, evaluate and use person re-identification embeddings.

    The trainer reads a dataset and writes a *bundle*: a folder with weights and everything needed to use them. The
    service (`reid-service`) serves a bundle. Settings come from flags, then the environment, then the defaults shown.

    Exit status: 0 when all went well; 1 when training diverged; 2 when something given was wrong, with one line that
    says what was expected and what came.

    **Examples**

        reid-trainer evaluate --data Market-1501-v15.09.15

        reid-trainer train light --data Market-1501-v15.09.15 --set teacher=teacher.npz --out runs/light

        reid-trainer embed crops/ --out crops.npz
    """,
)

Data = Annotated[
    Path,
    typer.Option(
        envvar="REID_DATASETS",
        help="Market-1501, or a folder in its layout, or the folder that holds it; for `train`, also the word "
        "`generated`: drawn people.",
    ),
]
BundleOption = Annotated[
    str, typer.Option("--bundle", help="A bundle folder, or the name of a shipped bundle.", show_default=True)
]
Device = Annotated[str, typer.Option(help="`auto` (a GPU where there is one), `cpu`, `cuda:0`, …")]


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn what the caller got wrong into one line on stderr and exit status 2; our own faults keep their trace."""
    try:
        yield
    except (ReidError, ValueError) as error:
        typer.echo(f"reid-trainer: {error}", err=True)
        raise typer.Exit(2) from error


@app.command()
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
    """Train a recipe on the dataset's training people and write a bundle.

    A checkpoint is written after every epoch; `--resume` goes on from it and gives the same losses as a run that was
    never interrupted. At the end the bundle is written to `OUT/bundle` and evaluated on the query and gallery parts.
    """
    with one_line_errors():
        chosen = recipe_named(recipe, _overrides(set_ or []))
        dataset = _dataset(data, out)
        task = ReidTask(dataset.train, chosen, resolve_device(device))
        outcome = run(task, chosen, out, resume=resume)
        if outcome.verdict != "finished":
            typer.echo(f"reid-trainer: {outcome.verdict}", err=True)
            raise typer.Exit(1)
        origin = Origin(
            domain=_domain(data),
            licence=licence,
            command=shlex.join(["reid-trainer", *sys.argv[1:]]),
            notes=notes.read_text() if notes else "",
        )
        bundle = export_bundle(out / "bundle", task.network, chosen, outcome, dataset, origin)
        typer.echo(f"bundle {bundle.id[:12]} in {out / 'bundle'}")
        _print_figures(bundle.metrics)


@app.command()
def evaluate(
    data: Data,
    bundle: BundleOption = "default",
    report: Annotated[Path | None, typer.Option(help="Folder for a CMC curve and score histograms (PNG).")] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="File for the figures as JSON.")] = None,
    device: Device = "auto",
) -> None:
    """Print Rank-1/5/10 and mAP of a bundle by the protocol of Market-1501.

    Two formulas of mAP are in use and differ by up to a point, so both are printed. Embedding speed and the time that
    the metrics took are printed apart.
    """
    with one_line_errors():
        dataset = read_market1501(data)
        embedder = Embedder.load(bundle, device)
        evaluation = evaluate_bundle(embedder, dataset)
        figures = evaluation.figures() | {"bundle_id": embedder.bundle_id, "precision": str(embedder.precision)}
        _print_evaluation(evaluation)
        if json_:
            json_.write_text(json.dumps(figures | _timing(evaluation), indent=1) + "\n")
        if report:
            write_report(report, evaluation, embedder.bundle, _domain(data))


@app.command()
def embed(
    folder: Annotated[Path, typer.Argument(help="Folder of JPEG, PNG or WebP crops, searched recursively.")],
    out: Annotated[Path, typer.Option(help="The .npz file to write: `path` (N,) and `embedding` (N, D) float32.")],
    bundle: BundleOption = "default",
    device: Device = "auto",
) -> None:
    """Embed every image of a folder: unit rows, sorted by path."""
    with one_line_errors():
        count = embed_folder(Embedder.load(bundle, device), folder, out)
        typer.echo(f"{count} embeddings in {out}")


def _dataset(data: Path, out: Path) -> Market1501:
    """Market-1501 at `data`, or for the word `generated`, people drawn now and written below `out`."""
    if data != Path("generated"):
        return read_market1501(data)
    folder = out / "generated"
    if not folder.exists():
        write_market_folder(folder, train_people=16, test_people=16, cameras=2, per_camera=4)
    return read_market1501(folder)


def _overrides(assignments: list[str]) -> dict[str, str]:
    pairs = [assignment.partition("=") for assignment in assignments]
    if wrong := [field for field, equals, _ in pairs if not equals]:
        raise ValueError(f"--set: expected FIELD=VALUE, got {wrong[0]!r}")
    return {field: value for field, _, value in pairs}


def _timing(evaluation: Evaluation) -> dict[str, float]:
    return {
        "images_per_second": round(evaluation.images_per_second, 1),
        "metric_seconds": round(evaluation.metric_seconds, 3),
    }


def _print_evaluation(evaluation: Evaluation) -> None:
    _print_figures(evaluation.figures())
    typer.echo(f"{evaluation.images_per_second:.0f} images per second; metrics in {evaluation.metric_seconds:.2f} s")


def _print_figures(figures: dict[str, object]) -> None:
    table = Table("Rank-1", "Rank-5", "Rank-10", "mAP (step)", "mAP (trapezoid)", title=str(figures["protocol"]))
    names = ("rank_1", "rank_5", "rank_10", "mean_ap", "mean_ap_trapezoid")
    table.add_row(*(f"{figures[name]:.2%}" for name in names))
    Console().print(table)
    typer.echo(
        f"{figures['num_valid_queries']} of {figures['num_queries']} queries count, "
        f"against {figures['num_gallery']} crops"
    )


def _domain(data: Path) -> str:
    name = "generated people" if data == Path("generated") else dataset_root(data).name
    return f"{name}, query against gallery"
