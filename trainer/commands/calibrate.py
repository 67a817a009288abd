"""`reid-trainer calibrate`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from reid.datasets.split import read_split
from reid.evaluation.camera_calibration import calibrate_cameras
from reid.evaluation.labels import Exclude
from reid.evaluation.match_rate_interval import match_rate_intervals
from reid.predictors import Embedder
from trainer.card import score_table
from trainer.commands.labelled_data import Data, ExcludeOption
from trainer.commands.shared import BundleOption, Device, one_line_errors
from trainer.evaluation import evaluate_split
from trainer.protocol import Protocol

_FALSE_MATCH_RATE = 1e-3


def calibrate(
    data: Data,
    out: Annotated[Path, typer.Option(help="The JSON file to write.")],
    bundle: BundleOption = "default",
    exclude: ExcludeOption = Exclude.SAME_CAMERA,
    device: Device = "auto",
) -> None:
    """Measure what a bundle's scores mean on your own cameras, over all and per pair of cameras.

    Prints the table, and the threshold for one false match in a thousand comparisons with how far it can be trusted.
    """
    with one_line_errors():
        split = read_split(data)
        embedder = Embedder.load(bundle, device)
        evaluation = evaluate_split(embedder, split, Protocol(exclude))
        calibration = calibrate_cameras(
            evaluation.histograms, split.camera_names, bundle_id=embedder.bundle_id, domain=split.domain
        )
        overall = calibration.overall
        typer.echo(score_table(overall))
        typer.echo(f"{len(calibration.pairs)} pairs of cameras have a table of their own")
        rate = max(_FALSE_MATCH_RATE, overall.false_match_rates[-1])
        intervals = match_rate_intervals(
            evaluation.query,
            evaluation.gallery,
            evaluation.query_labels,
            evaluation.gallery_labels,
            score=overall.score_at(rate),
            exclude=exclude,
        )
        false, true = intervals.false_match_rate, intervals.true_match_rate
        typer.echo(
            f"score {intervals.score:.3f} for a false-match rate of {rate:.1e}, "
            f"which is {false.low:.1e} to {false.high:.1e}; "
            f"true-match rate {true.low:.1%} to {true.high:.1%} (95 %, bootstrap over {false.num_people} people)"
        )
        out.write_text(json.dumps(calibration.to_json(), indent=1) + "\n")
