"""`reid-trainer study` and `reid-trainer worker`."""

from pathlib import Path
from typing import Annotated

import typer

from reid.errors import RecipeError
from reid.predictors import resolve_device
from trainer.cell import cell_file, read_cells, run_cell
from trainer.commands.labelled_data import Data
from trainer.commands.shared import Device, one_line_errors, overrides
from trainer.queue import CellQueue
from trainer.study import SCALES, STUDIES, Study, study_named
from trainer.study_report import write_study_report

Name = Annotated[str, typer.Argument(help=f"One of: {', '.join(sorted(STUDIES))}; or a JSON file.")]
Out = Annotated[Path, typer.Option(help="Folder for the cells' results, their runs, the table and the pictures.")]
Scale = Annotated[
    str, typer.Option(help=f"One of: {', '.join(sorted(SCALES))}. A scaled study is labelled so wherever it appears.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Fix one recipe field for every cell: a scaled study too."),
]
Storage = Annotated[
    str, typer.Option(help="The queue: redis://… or postgresql://…; by default a Journal file in OUT, for one machine.")
]


def study(
    name: Name,
    data: Data,
    out: Out,
    scale: Scale = "full",
    set_: Overrides = None,
    storage: Storage = "",
    device: Device = "auto",
) -> None:
    """Run every cell of a study once and write its table beside the paper's figures.

    Any number of `worker` processes may help, on any machines that see OUT and the queue. Interrupted, the same command
    goes on where it stopped; the cell of a killed worker is taken up again.
    """
    with one_line_errors():
        chosen = study_named(name, scale, overrides(set_ or []))
        read_cells(out, chosen)
        queue = _queue(chosen, out, storage)
        queue.add(len(chosen.cells()))
        _work(chosen, queue, data, out, device)
        write_study_report(out, chosen, read_cells(out, chosen))
        typer.echo((out / f"{chosen.name}.md").read_text())


def worker(
    name: Name,
    data: Data,
    out: Out,
    scale: Scale = "full",
    set_: Overrides = None,
    storage: Storage = "",
    device: Device = "auto",
) -> None:
    """Help with a study that `study` has begun, with its `--scale`, `--set` and `--storage`, until no cell is left."""
    with one_line_errors():
        chosen = study_named(name, scale, overrides(set_ or []))
        read_cells(out, chosen)
        queue = _queue(chosen, out, storage)
        if not queue.has_begun():
            raise RecipeError(f"nobody has begun {chosen.name} with {dict(chosen.fixed)} fixed, in this queue")
        _work(chosen, queue, data, out, device)


def _queue(study: Study, out: Path, storage: str) -> CellQueue:
    """Workers meet only where they would run the very same cells."""
    return CellQueue(f"{study.name}-{study.sha256[:12]}", storage or str(out / "journal.log"))


def _work(study: Study, queue: CellQueue, data: Path, out: Path, device: str) -> None:
    for cell in queue.take():
        if not cell_file(out, cell).exists():
            run_cell(study, cell, data, out, resolve_device(device))
