"""A study's results as a table beside the paper's figures, a CSV and two pictures."""

import csv
import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.plots import draw_losses, draw_points
from trainer.published import published
from trainer.study import Study

FIGURES = ("rank_1", "rank_5", "rank_10", "mean_ap", "mean_ap_trapezoid")


@dataclass(frozen=True)
class Point:
    """The cells that differ by seed alone."""

    overrides: Mapping[str, Any]
    cells: Sequence[Mapping[str, Any]]

    @property
    def label(self) -> str:
        """`learning_rate 0.05`, for tables and pictures."""
        return ", ".join(f"{name} {value:g}" for name, value in self.overrides.items())

    def values(self, figure: str) -> list[float]:
        """A figure of every cell that finished."""
        return [cell[figure] for cell in self.cells if figure in cell]

    def verdicts(self) -> str:
        """`finished ×3`, or where the others diverged."""
        counts: dict[str, int] = defaultdict(int)
        for cell in self.cells:
            counts[cell["verdict"]] += 1
        return "; ".join(f"{verdict} ×{count}" for verdict, count in counts.items())


def points_of(cells: Sequence[Mapping[str, Any]]) -> list[Point]:
    """Cells grouped by what they vary besides the seed, in order of their numbers."""
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for cell in sorted(cells, key=lambda cell: int(cell["cell"])):
        groups[json.dumps(_without_seed(cell["overrides"]))].append(cell)
    return [Point(json.loads(key), group) for key, group in groups.items()]


def write_study_report(folder: Path, study: Study, cells: Sequence[Mapping[str, Any]]) -> None:
    """Write `NAME.csv`, `NAME.md`, `NAME.png` and `NAME-losses.png` to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    points = points_of(cells)
    _write_csv(folder / f"{study.name}.csv", cells)
    (folder / f"{study.name}.md").write_text(markdown(study, points))
    draw_points(folder / f"{study.name}.png", study.name, {point.label: point.values("mean_ap") for point in points})
    curves = {point.label: [_losses(folder, cell) for cell in point.cells] for point in points}
    draw_losses(folder / f"{study.name}-losses.png", study.name, curves)


def markdown(study: Study, points: Sequence[Point]) -> str:
    """The table: mean ± standard deviation over seeds, percent; the paper's figure in brackets where it has one."""
    fixed = ", ".join(f"{name} {value}" for name, value in study.fixed.items()) or "nothing: the paper's own size"
    head = ["", "Rank-1", "Rank-5", "Rank-10", "mAP (step)", "mAP (trapezoid)", "minutes", "how it ended"]
    lines = [
        f"# {study.name}",
        "",
        f"Recipe `{study.recipe}`; fixed to fit the machine: {fixed}. Percent, mean ± standard deviation over seeds;",
        "in brackets what the paper reports at its own size. Full protocol of Market-1501.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
    ]
    return "\n".join([*lines, *(_row(study, point) for point in points)]) + "\n"


def _row(study: Study, point: Point) -> str:
    reported = published(study.name.removesuffix("-scaled"), dict(point.overrides))
    figures = [_cell_text(point.values(figure), reported.get(figure)) for figure in FIGURES]
    minutes = statistics.mean(cell["seconds"] for cell in point.cells) / 60
    return "| " + " | ".join([point.label, *figures, f"{minutes:.1f}", point.verdicts()]) + " |"


def _cell_text(values: Sequence[float], reported: float | None) -> str:
    ours = "–"
    if values:
        spread = f" ± {100 * statistics.stdev(values):.1f}" if len(values) > 1 else ""
        ours = f"{100 * statistics.mean(values):.1f}{spread}"
    return ours if reported is None else f"{ours} ({100 * reported:.1f})"


def _write_csv(path: Path, cells: Sequence[Mapping[str, Any]]) -> None:
    names = ["cell", *sorted({name for cell in cells for name in cell["overrides"]}), "verdict", "epochs", "seconds"]
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, [*names, *FIGURES], extrasaction="ignore")
        table.writeheader()
        for cell in cells:
            table.writerow({**cell, **cell["overrides"]})


def _losses(folder: Path, cell: Mapping[str, Any]) -> list[float]:
    """The losses by epoch that the cell's run logged; none if it diverged in its first epoch."""
    log = folder / "runs" / f"cell-{cell['cell']:03d}" / "log.jsonl"
    return [json.loads(line)["loss"] for line in log.read_text().splitlines()] if log.exists() else []


def _without_seed(overrides: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in overrides.items() if name != "seed"}
