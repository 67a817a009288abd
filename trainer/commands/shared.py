"""What several commands share: their options, their errors, how they print figures."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from reid.errors import ReidError

BundleOption = Annotated[
    str, typer.Option("--bundle", help="A bundle folder, or the name of a shipped bundle.", show_default=True)
]
Device = Annotated[str, typer.Option(help="`auto` (a GPU where there is one), `cpu`, `cuda:0`, …")]


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn what the caller got wrong into one line on stderr and exit status 2; our own faults keep their trace."""
    try:
        yield
    except (ReidError, ValueError, OSError) as error:
        typer.echo(f"reid-trainer: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(2) from error


def print_figures(figures: dict[str, object]) -> None:
    """Print Rank-1/5/10 and both mAPs with their protocol and how many queries counted."""
    table = Table("Rank-1", "Rank-5", "Rank-10", "mAP (step)", "mAP (trapezoid)", title=str(figures["protocol"]))
    names = ("rank_1", "rank_5", "rank_10", "mean_ap", "mean_ap_trapezoid")
    table.add_row(*(f"{figures[name]:.2%}" for name in names))
    Console().print(table)
    typer.echo(
        f"{figures['num_valid_queries']} of {figures['num_queries']} queries count, "
        f"against {figures['num_gallery']} crops"
    )


def overrides(assignments: list[str]) -> dict[str, str]:
    """`--set FIELD=VALUE` flags by field. Raises ``ValueError`` for one of another form."""
    pairs = [assignment.partition("=") for assignment in assignments]
    if wrong := [field for field, equals, _ in pairs if not equals]:
        raise ValueError(f"--set: expected FIELD=VALUE, got {wrong[0]!r}")
    return {field: value for field, _, value in pairs}
