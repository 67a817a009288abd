"""What a run says of itself: progress on the terminal; JSON lines, a table and curves in its folder."""

import csv
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from torch.utils.tensorboard import SummaryWriter

from trainer.plots import draw_curves

_REDRAW_S = 10.0


class EpochLog:
    """One dictionary of figures an epoch. The files are written anew from them, so a resumed run repeats no line."""

    def __init__(self, folder: Path, recipe: dict[str, Any]) -> None:
        self.folder = folder
        self.recipe = recipe
        self.epochs: list[dict[str, float]] = []
        self._drawn_at = -math.inf

    def append(self, figures: dict[str, float]) -> None:
        """Add an epoch's figures."""
        self.epochs.append(figures)

    def write(self) -> None:
        """Write `recipe.json`, `log.jsonl`, `curves.csv` and the last epoch for TensorBoard; now and then `curves.png`.

        A picture takes longer than a short epoch: one is drawn only when the last is `_REDRAW_S` old.
        """
        (self.folder / "recipe.json").write_text(json.dumps(self.recipe, indent=1) + "\n")
        write_epochs(self.folder, self.epochs)
        with (self.folder / "curves.csv").open("w", newline="") as file:
            table = csv.DictWriter(file, list(self.epochs[-1]))
            table.writeheader()
            table.writerows(self.epochs)
        if time.monotonic() - self._drawn_at >= _REDRAW_S:
            self.draw()
        with SummaryWriter(str(self.folder / "tensorboard")) as writer:
            for name, value in self.epochs[-1].items():
                writer.add_scalar(name, value, len(self.epochs))

    def draw(self) -> None:
        """Draw `curves.png` of the epochs there are, if there are any."""
        if self.epochs:
            draw_curves(self.folder / "curves.png", self.epochs, self.recipe["name"])
            self._drawn_at = time.monotonic()


def write_epochs(folder: Path, epochs: Sequence[dict[str, float]]) -> None:
    """Write `log.jsonl`: one line an epoch."""
    (folder / "log.jsonl").write_text("".join(json.dumps(figures) + "\n" for figures in epochs))


class Progress:
    """A bar an epoch on the terminal; silent where not `shown`."""

    def __init__(self, epochs: int, *, shown: bool) -> None:
        self._epochs = epochs
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeRemainingColumn(),
            disable=not shown,
        )
        self._row = self._bar.add_task("", total=None, loss="", visible=False)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, epoch: int, steps: int) -> None:
        """Start the bar of an epoch (from 0)."""
        self._row = self._bar.add_task(f"epoch {epoch + 1}/{self._epochs}", total=steps, loss="")

    def advance(self, mean_loss: float) -> None:
        """One step is done."""
        self._bar.update(self._row, advance=1, loss=f"loss {mean_loss:.3f}")
