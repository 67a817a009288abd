"""`reid-trainer evaluate`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from reid.datasets.market1501 import read_market1501
from reid.predictors import Embedder
from trainer.commands.shared import BundleOption, Data, Device, domain_of, one_line_errors, print_figures
from trainer.evaluation import Evaluation, evaluate_dataset
from trainer.report import write_report


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
        evaluation = evaluate_dataset(embedder, dataset)
        figures = evaluation.figures() | {"bundle_id": embedder.bundle_id, "precision": str(embedder.precision)}
        _print_evaluation(evaluation)
        if json_:
            json_.write_text(json.dumps(figures | _timing(evaluation), indent=1) + "\n")
        if report:
            write_report(report, evaluation, embedder.bundle, domain_of(data))


def _timing(evaluation: Evaluation) -> dict[str, float]:
    return {
        "images_per_second": round(evaluation.images_per_second, 1),
        "metric_seconds": round(evaluation.metric_seconds, 3),
    }


def _print_evaluation(evaluation: Evaluation) -> None:
    print_figures(evaluation.figures())
    typer.echo(f"{evaluation.images_per_second:.0f} images per second; metrics in {evaluation.metric_seconds:.2f} s")
