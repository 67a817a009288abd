"""The lecture's pictures with the numbers behind them: a PNG and a CSV for each."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from reid.networks.activations import ACTIVATIONS
from trainer.lecture import (
    Curve,
    dead_share,
    gradient_by_depth,
    learning_from_a_wrong_start,
    saturated_share,
    slopes,
    training_from_a_poor_start,
)

_RATES = (0.01, 0.1, 0.3, 0.5, 1.0)
_DEEP = ("sigmoid", "tanh", "relu", "swish")


def explain_activations(folder: Path) -> list[str]:
    """Draw every activation with its slope, the regions where it learns nothing shaded; return what it shows."""
    figure = Figure(figsize=(14, 10), layout="constrained")
    rows: list[Curve] = []
    for axes, name in zip(figure.subplots(4, 5).flat, sorted(ACTIVATIONS), strict=False):
        value, slope = slopes(name)
        rows += [value, slope]
        axes.plot(value.x, value.y, label="value")
        axes.plot(slope.x, slope.y, label="slope")
        flat = [abs(y) < 0.01 for y in slope.y]
        axes.fill_between(slope.x, 0, 1, where=flat, alpha=0.15, color="grey", transform=axes.get_xaxis_transform())
        axes.set(title=name, ylim=(-2, 3))
        axes.grid(alpha=0.3)
    for axes in figure.axes[len(ACTIVATIONS) :]:
        axes.set_axis_off()
    figure.axes[0].legend()
    figure.savefig(folder / "activations.png", dpi=80)
    _write(folder / "activations.csv", rows)
    return [f"{name}: slope below 0.01 on {saturated_share(name):.0%} of [-6, 6]" for name in sorted(ACTIVATIONS)]


def explain_losses(folder: Path) -> list[str]:
    """Draw how a surely wrong sigmoid learns under two losses; return what it shows."""
    curves = [learning_from_a_wrong_start(loss) for loss in ("squared_error", "cross_entropy")]
    _draw(folder / "losses.png", {"a sigmoid that begins surely wrong: output by step (target 0)": curves})
    _write(folder / "losses.csv", curves)
    return [f"{curve.label}: below 0.1 after {_first(curve, 0.1)} steps" for curve in curves]


def explain_gradients(folder: Path) -> list[str]:
    """Draw gradient size by depth, dead units by rate, and a poor start's cures; return what it shows."""
    plain = [gradient_by_depth(name) for name in _DEEP]
    cured = [
        plain[0],
        gradient_by_depth("sigmoid", residual=True),
        gradient_by_depth("sigmoid", auxiliary=True),
    ]
    dead = [
        Curve(name, _RATES, [dead_share(name, rate) for rate in _RATES])
        for name in ("relu", "leaky_relu", "parametric_relu", "elu", "swish")
    ]
    starts = [
        training_from_a_poor_start(noise=noise, residual=residual)
        for noise, residual in ((False, False), (True, False), (False, True))
    ]
    panels = {
        "gradient (rms) by layer, at the start": plain,
        "its cures": cured,
        "share of dead hidden units by learning rate": dead,
        "loss from a poor start": starts,
    }
    _draw(folder / "gradients.png", panels, logarithmic=("gradient (rms) by layer, at the start", "its cures"))
    _write(folder / "gradients.csv", [*plain, *cured[1:], *dead, *starts])
    return [
        *(f"{curve.label}: first layer's gradient is {curve.y[0] / curve.y[-1]:.1e} of the last's" for curve in plain),
        *(f"{curve.label}: {curve.y[0] / curve.y[-1]:.1e}" for curve in cured[1:]),
        *(f"{curve.label}: {curve.y[-1]:.0%} dead at rate {_RATES[-1]:g}" for curve in dead),
        *(f"from a poor start, {curve.label}: loss {curve.y[-1]:.3f}" for curve in starts),
    ]


TOPICS: dict[str, Callable[[Path], list[str]]] = {
    "activations": explain_activations,
    "losses": explain_losses,
    "gradients": explain_gradients,
}


def _first(curve: Curve, below: float) -> int:
    return next(step for step, value in zip(curve.x, curve.y, strict=True) if value < below)  # type: ignore[return-value]


def _draw(path: Path, panels: Mapping[str, Sequence[Curve]], logarithmic: Sequence[str] = ()) -> None:
    columns = min(2, len(panels))
    figure = Figure(figsize=(6.5 * columns, 4 * -(-len(panels) // columns)), layout="constrained")
    grid = figure.subplots(-(-len(panels) // columns), columns, squeeze=False)
    for axes, (title, curves) in zip(grid.flat, panels.items(), strict=True):
        for curve in curves:
            axes.plot(curve.x, curve.y, label=curve.label)
        if title in logarithmic:
            axes.set_yscale("log")
        axes.set(title=title)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=80)


def _write(path: Path, curves: Sequence[Curve]) -> None:
    """One line a point: which curve, x, y."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["curve", "x", "y"])
        for curve in curves:
            table.writerows([curve.label, f"{x:g}", f"{y:.5g}"] for x, y in zip(curve.x, curve.y, strict=True))
