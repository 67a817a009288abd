"""A study's results as a table beside the paper's figures, a CSV and pictures."""

import csv
import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ttest_1samp

from reid.evaluation.classification import wilson_interval
from trainer.plots import draw_points, draw_study_confusions, draw_study_curves
from trainer.published import published
from trainer.recipes.actions import ActionRecipe
from trainer.recipes.catalogue import RECIPES
from trainer.recipes.split import SplitRecipe
from trainer.study import Study

_FEWEST_PAIRS = 2


@dataclass(frozen=True)
class Column:
    """A figure of the table, under its heading; shares are told in percent."""

    figure: str
    heading: str
    percent: bool = True

    def text(self, values: Sequence[float], reported: float | None) -> str:
        """Mean ± standard deviation of ours, and in brackets what the paper reports, where it does."""
        scale, digits = (100, 1) if self.percent else (1, 3)
        ours = "–"
        if values:
            spread = f" ± {scale * statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
            ours = f"{scale * statistics.mean(values):.{digits}f}{spread}"
        return ours if reported is None else f"{ours} ({scale * reported:.{digits}f})"


_RETRIEVAL = (
    Column("mean_ap", "mAP (step)"),
    Column("mean_ap_trapezoid", "mAP (trapezoid)"),
    Column("rank_1", "Rank-1"),
    Column("rank_5", "Rank-5"),
    Column("rank_10", "Rank-10"),
)
_CLASSIFICATION = (
    Column("accuracy", "accuracy"),
    Column("mean_class_accuracy", "mean over labels"),
    Column("final_loss", "training loss", percent=False),
    Column("loss", "test loss", percent=False),
    Column("expected_calibration_error", "calibration error", percent=False),
)
_ACTIONS = (*_CLASSIFICATION[:3], Column("own_loss", "test loss, its own", percent=False), *_CLASSIFICATION[4:])


def columns_of(study: Study) -> tuple[Column, ...]:
    """What cells of this kind of model are judged by; the first counts most."""
    match RECIPES[study.recipe]:
        case ActionRecipe():
            return _ACTIONS
        case SplitRecipe():
            return _CLASSIFICATION
        case _:
            return _RETRIEVAL


@dataclass(frozen=True)
class Point:
    """The cells that differ by repeats alone."""

    overrides: Mapping[str, Any]
    cells: Sequence[Mapping[str, Any]]

    @property
    def label(self) -> str:
        """`learning_rate 0.05`, for tables and pictures; what is switched off is left out, unless that is all."""
        said = {name: value for name, value in self.overrides.items() if value} or self.overrides
        return ", ".join(
            f"{name} {value:g}" if isinstance(value, int | float) else str(value) for name, value in said.items()
        )

    def values(self, figure: str) -> list[float]:
        """A figure of every cell that finished."""
        return [cell[figure] for cell in self.cells if figure in cell]

    def interval(self) -> str:
        """`75.5–87.1`: Wilson's 95 % of the mean accuracy, of as many files as were tested once or more."""
        judged = [cell for cell in self.cells if "num_files" in cell]
        if not judged:
            return "–"
        files = sum(cell["num_files"] for cell in judged)
        right = sum(cell["num_files"] * cell["accuracy"] for cell in judged)
        draws = len(judged) / len({cell["overrides"].get("fold") for cell in judged})  # each fold is other files
        low, high = wilson_interval(right / draws, files / draws)
        return f"{100 * low:.1f}–{100 * high:.1f}"

    def verdicts(self) -> str:
        """`finished ×3`, or where the others diverged."""
        counts: dict[str, int] = defaultdict(int)
        for cell in self.cells:
            counts[cell["verdict"]] += 1
        return "; ".join(f"{verdict} ×{count}" for verdict, count in counts.items())


def points_of(study: Study, cells: Sequence[Mapping[str, Any]]) -> list[Point]:
    """Cells grouped by what they vary besides the repeats, in order of their numbers."""
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for cell in sorted(cells, key=lambda cell: int(cell["cell"])):
        varied = {name: value for name, value in cell["overrides"].items() if name not in study.repeats}
        groups[json.dumps(varied)].append(cell)
    return [Point(json.loads(key), group) for key, group in groups.items()]


def write_study_report(folder: Path, study: Study, cells: Sequence[Mapping[str, Any]]) -> None:
    """Write `NAME.csv`, `NAME.md`, `NAME.png` and `NAME-curves.png` to `folder`; `NAME-confusion.png` for labels."""
    folder.mkdir(parents=True, exist_ok=True)
    points, main = points_of(study, cells), columns_of(study)[0]
    _write_csv(folder / f"{study.name}.csv", study, cells)
    (folder / f"{study.name}.md").write_text(markdown(study, points))
    drawn = {point.label: point.values(main.figure) for point in points}
    draw_points(folder / f"{study.name}.png", study.name, f"{main.heading}, %", drawn)
    curves = {point.label: [_epochs(folder, cell) for cell in point.cells] for point in points}
    draw_study_curves(folder / f"{study.name}-curves.png", study.name, curves)
    _draw_confusions(folder / f"{study.name}-confusion.png", study, points)


def _draw_confusions(path: Path, study: Study, points: Sequence[Point]) -> None:
    """Of all cells of a point together; nothing where no cell tells labels apart."""
    together = {
        point.label: np.array([cell["confusion"] for cell in point.cells if "confusion" in cell]).sum(axis=0)
        for point in points
        if any("confusion" in cell for cell in point.cells)
    }
    if together:
        labels = next(cell["labels"] for point in points for cell in point.cells if "labels" in cell)
        draw_study_confusions(path, study.name, together, labels)


def markdown(study: Study, points: Sequence[Point]) -> str:
    """The table: mean ± standard deviation over the repeats, the paper's figure in brackets where it has one."""
    columns = columns_of(study)
    fixed = ", ".join(f"{name} {value}" for name, value in study.fixed.items()) or "nothing: the paper's own size"
    repeats = " and ".join(study.repeats)
    head = ["", *(column.heading for column in columns), *_more_headings(study), "minutes", "how it ended"]
    lines = [
        f"# {study.name}",
        "",
        f"Recipe `{study.recipe}`; fixed to fit the machine: {fixed}. Mean ± standard deviation over {repeats};",
        "in brackets what the paper reports at its own size. Against the first: the difference in",
        f"{columns[0].heading} to the first row, paired by {study.repeats[0]}, and the p of a paired t test.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
    ]
    return "\n".join([*lines, *(_row(study, point, points[0]) for point in points)]) + "\n"


def _row(study: Study, point: Point, first: Point) -> str:
    columns = columns_of(study)
    reported = published(study.name.removesuffix("-scaled"), dict(point.overrides))
    figures = [column.text(point.values(column.figure), reported.get(column.figure)) for column in columns]
    minutes = statistics.mean(cell["seconds"] for cell in point.cells) / 60
    more = [_against(point, first, study.repeats[0], columns[0].figure)]
    if columns is not _RETRIEVAL:
        more.insert(0, point.interval())
    taken = f"{minutes:.1f}" if minutes >= 1 else f"{minutes:.2f}"
    return "| " + " | ".join([point.label, *figures, *more, taken, point.verdicts()]) + " |"


def _more_headings(study: Study) -> list[str]:
    intervals = [] if columns_of(study) is _RETRIEVAL else ["95 % interval"]
    return [*intervals, "against the first"]


def _against(point: Point, first: Point, repeat: str, figure: str) -> str:
    """`+1.2 (p 0.03)` in percentage points; a dash for the first itself and for fewer than two pairs.

    Pairs are of one value of `repeat`. Over the others the mean is taken first: seeds of one fold are judged on the
    same files, and would pass for more evidence than there is.
    """
    ours, theirs = (_means(side, repeat, figure) for side in (point, first))
    both = sorted(ours.keys() & theirs.keys())
    if point is first or len(both) < _FEWEST_PAIRS:
        return "–"
    differences = [ours[value] - theirs[value] for value in both]
    mean = statistics.mean(differences)
    if len(set(differences)) == 1:  # no spread to test against
        return f"{100 * mean:+.1f}"
    return f"{100 * mean:+.1f} (p {ttest_1samp(differences, 0).pvalue:.2g})"


def _means(point: Point, repeat: str, figure: str) -> dict[Any, float]:
    values: dict[Any, list[float]] = defaultdict(list)
    for cell in point.cells:
        if figure in cell:
            values[cell["overrides"].get(repeat)].append(cell[figure])
    return {value: statistics.mean(group) for value, group in values.items()}


def _write_csv(path: Path, study: Study, cells: Sequence[Mapping[str, Any]]) -> None:
    names = ["cell", *sorted({name for cell in cells for name in cell["overrides"]}), "verdict", "epochs", "seconds"]
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, [*names, *(column.figure for column in columns_of(study))], extrasaction="ignore")
        table.writeheader()
        for cell in cells:
            table.writerow({**cell, **cell["overrides"]})


def _epochs(folder: Path, cell: Mapping[str, Any]) -> list[dict[str, float]]:
    """The epochs that the cell's run logged; none if it diverged in its first."""
    log = folder / "runs" / f"cell-{cell['cell']:03d}" / "log.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
