"""A run as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from reid.evaluation.classification import row_normalised

_SHOWN_SHARE = 0.005
_MATRICES_A_ROW = 4
_PANELS = (
    ("loss", ("loss", "validation_loss")),
    ("top-1 error, %", ("top1_error", "validation_error")),
    ("learning rate", ("learning_rate",)),
)


def draw_curves(path: Path, epochs: Sequence[dict[str, float]], title: str) -> None:
    """Draw loss, top-1 error (train, and validation where there is one) and learning rate by epoch to a PNG."""
    figure = Figure(figsize=(12, 3.5), layout="constrained")
    figure.suptitle(title)
    for axes, (label, names) in zip(figure.subplots(1, len(_PANELS)), _PANELS, strict=True):
        for name in names:
            _draw(axes, epochs, name, 100 if label.endswith("%") else 1)
        axes.set(xlabel="epoch", ylabel=label)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=100)


def _draw(axes: Axes, epochs: Sequence[dict[str, float]], name: str, scale: int) -> None:
    points = [(figures["epoch"], scale * figures[name]) for figures in epochs if name in figures]
    if points:
        axes.plot(*zip(*points, strict=True), marker=".", label=name.replace("_", " "))


def draw_points(path: Path, title: str, label: str, points: Mapping[str, Sequence[float]]) -> None:
    """Draw a share in percent, under its label, for each point of a study, every repeat a dot, to a PNG."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for place, values in enumerate(points.values()):
        axes.plot([place] * len(values), [100 * value for value in values], "o", alpha=0.6)
    axes.set_xticks(range(len(points)), list(points), rotation=20, ha="right")
    axes.set(ylabel=label, title=title)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


def draw_study_curves(path: Path, title: str, curves: Mapping[str, Sequence[Sequence[dict[str, float]]]]) -> None:
    """Draw training loss (logarithmic) and top-1 error by epoch for each point of a study, a line a repeat."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    figure.suptitle(title)
    losses, errors = figure.subplots(1, 2)
    for place, (label, repeats) in enumerate(curves.items()):
        for number, epochs in enumerate(repeats):
            numbers = [figures["epoch"] for figures in epochs]
            style = {"color": f"C{place}", "alpha": 0.7, "label": label if number == 0 else None}
            losses.semilogy(numbers, [figures["loss"] for figures in epochs], **style)
            errors.plot(numbers, [100 * figures["top1_error"] for figures in epochs], **style)
    for axes, ylabel in ((losses, "loss"), (errors, "top-1 error, %")):
        axes.set(xlabel="epoch", ylabel=ylabel)
        axes.grid(alpha=0.3)
    losses.legend()
    figure.savefig(path, dpi=100)


def draw_confusion(path: Path, title: str, confusion: NDArray[np.int64], labels: Sequence[str]) -> None:
    """Draw a row-normalised confusion matrix (L, L) to a PNG: rows are true labels, shares in the cells."""
    side = _side(labels)
    figure = Figure(figsize=(side, side), layout="constrained")
    _draw_confusion(figure.subplots(), title, confusion, labels)
    figure.savefig(path, dpi=100)


def draw_study_confusions(
    path: Path, title: str, confusions: Mapping[str, NDArray[np.int64]], labels: Sequence[str]
) -> None:
    """Draw the row-normalised confusion matrix (L, L) of each point of a study, side by side, to a PNG."""
    columns = min(_MATRICES_A_ROW, len(confusions))
    rows = -(-len(confusions) // columns)
    side = _side(labels)
    figure = Figure(figsize=(side * columns, side * rows), layout="constrained")
    figure.suptitle(title)
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for (label, confusion), axes in zip(confusions.items(), panels, strict=False):
        _draw_confusion(axes, label.replace(", ", "\n"), confusion, labels)
    for axes in panels:
        axes.axis("off")
    figure.savefig(path, dpi=80)


def _side(labels: Sequence[str]) -> float:
    return max(4.0, 0.45 * len(labels) + 2)


def _draw_confusion(axes: Axes, title: str, confusion: NDArray[np.int64], labels: Sequence[str]) -> None:
    shares = row_normalised(confusion)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        if share >= _SHOWN_SHARE:
            colour = "white" if share > 0.5 else "black"
            axes.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(len(labels)), list(labels), rotation=90 if max(map(len, labels)) > 2 else 0)
    axes.set_yticks(range(len(labels)), list(labels))
    axes.set(xlabel="predicted", ylabel="true", title=title)
