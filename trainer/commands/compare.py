"""`reid-trainer compare`."""

import dataclasses
import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from reid.datasets.split import read_split
from reid.evaluation.comparison import Comparison, compare_results
from reid.evaluation.labels import Exclude
from reid.evaluation.retrieval import RetrievalResult, evaluate_retrieval
from trainer.commands.labelled_data import Data, ExcludeOption
from trainer.commands.shared import Device, one_line_errors
from trainer.embedding_source import embeddings_from
from trainer.protocol import Protocol


class Metric(StrEnum):
    """The figure that decides."""

    RANK_1 = "rank_1"
    MEAN_AP = "mean_ap"
    MEAN_INP = "mean_inp"


_SOURCE_HELP = "A bundle (folder or name), or a .npz that `reid-trainer embed` wrote of the dataset's folder."


def compare(
    a: Annotated[str, typer.Argument(help=f"The one in use. {_SOURCE_HELP}")],
    b: Annotated[str, typer.Argument(help="The one that may take its place, likewise.")],
    data: Data,
    metric: Annotated[Metric, typer.Option(help="The figure that `--fail-below` looks at.")] = Metric.MEAN_AP,
    fail_below: Annotated[
        float | None,
        typer.Option(
            help="Exit with 1 when the low end of the 95 % interval of B − A is below this, a fraction: 0 lets a B "
            "pass only if it is surely no worse; -0.01 lets it lose a point at most."
        ),
    ] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="File for the comparison as JSON.")] = None,
    exclude: ExcludeOption = Exclude.SAME_CAMERA,
    device: Device = "auto",
) -> None:
    """Say whether B is better than A: both answer the same queries, and people are resampled (paired bootstrap)."""
    with one_line_errors():
        split, protocol = read_split(data), Protocol(exclude)
        protocol.check(split)
        query_labels, gallery_labels = split.labels[split.query], split.labels[split.gallery]

        def result_of(source: str) -> RetrievalResult:
            rows = embeddings_from(source, split, device)
            return evaluate_retrieval(
                rows[split.query], rows[split.gallery], query_labels, gallery_labels, exclude=exclude
            )

        comparisons = compare_results(result_of(a), result_of(b), query_labels.pids)
        typer.echo(f"{split.domain}. {protocol.name(split)}")
        _print_comparisons(comparisons)
        if json_:
            _write(json_, comparisons, domain=split.domain, protocol=protocol.name(split))
    decisive = next(comparison for comparison in comparisons if comparison.metric == metric)
    if fail_below is not None and decisive.difference.low < fail_below:
        typer.echo(
            f"reid-trainer: {metric.value} of B − A may be as low as {decisive.difference.low:+.2%}, "
            f"below {fail_below:+.2%}",
            err=True,
        )
        raise typer.Exit(1)


def _print_comparisons(comparisons: Sequence[Comparison]) -> None:
    table = Table("", "A", "B", "B − A", "95 % interval over people", "B is")
    for row in comparisons:
        low, high = row.difference.low, row.difference.high
        table.add_row(
            row.metric,
            f"{row.a:.2%}",
            f"{row.b:.2%}",
            f"{row.b - row.a:+.2%}",
            f"{low:+.2%} to {high:+.2%}",
            row.verdict,
        )
    Console().print(table)


def _write(file: Path, comparisons: Sequence[Comparison], *, domain: str, protocol: str) -> None:
    rows = [dataclasses.asdict(row) | {"verdict": row.verdict} for row in comparisons]
    file.write_text(json.dumps({"domain": domain, "protocol": protocol, "comparisons": rows}, indent=1) + "\n")
