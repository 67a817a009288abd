"""A run as a picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
