"""What several commands share: their options, their errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from reid.errors import ReidError

BundleOption = Annotated[
    str, typer.Option("--bundle", help="A bundle folder, or the name of a shipped bundle.", show_default=True)
]
Device = Annotated[
    str,
    typer.Option(
        help="`auto` (a GPU where there is one, else OpenVINO where it is installed), `openvino`, `cpu`, `cuda:0`, …"
    ),
]


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn what the caller got wrong into one line on stderr and exit status 2; our own faults keep their trace."""
    try:
        yield
    except (ReidError, ValueError, OSError) as error:
        typer.echo(f"reid-trainer: {' '.join(str(error).split())}", err=True)
        raise typer.Exit(2) from error


def overrides(assignments: list[str]) -> dict[str, str]:
    """`--set FIELD=VALUE` flags by field. Raises ``ValueError`` for one of another form."""
    pairs = [assignment.partition("=") for assignment in assignments]
    if wrong := [field for field, equals, _ in pairs if not equals]:
        raise ValueError(f"--set: expected FIELD=VALUE, got {wrong[0]!r}")
    return {field: value for field, _, value in pairs}
