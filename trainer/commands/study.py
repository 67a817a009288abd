"""`reid-trainer study` and `reid-trainer worker`."""

import tempfile
import uuid
from contextlib import suppress
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

_QUEUE_ID = "queue-id"
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
        _name_queue(out)
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
        if not (out / _QUEUE_ID).exists() or not (queue := _queue(chosen, out, storage)).has_begun():
            raise RecipeError(
                f"nobody has begun {chosen.name} with {dict(chosen.fixed)} fixed, in {out} and this queue"
            )
        _work(chosen, queue, data, out, device)


def _queue(study: Study, out: Path, storage: str) -> CellQueue:
    """Workers meet only where they would run the very same cells, into one folder."""
    queue_id = (out / _QUEUE_ID).read_text()
    return CellQueue(f"{study.name}-{study.sha256[:12]}-{queue_id}", storage or str(out / "journal.log"))


def _name_queue(out: Path) -> None:
    """Once for each folder, however many begin at the same time: a storage may hold the queues of many."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=out) as file:
        file.write(uuid.uuid4().hex)
        file.flush()
        with suppress(FileExistsError):
            (out / _QUEUE_ID).hardlink_to(file.name)


def _work(study: Study, queue: CellQueue, data: Path, out: Path, device: str) -> None:
    for cell in queue.take():
        if not cell_file(out, cell).exists():
            run_cell(study, cell, data, out, resolve_device(device))
