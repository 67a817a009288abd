"""The report's drawings, as SVG: sharp at every width, and a few kilobytes each."""

import io
from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from reid.evaluation.open_set import Roc
from reid.evaluation.retrieval import RetrievalResult
from reid.evaluation.score_histogram import ScoreHistogram

_SAME, _DIFFERENT = "#1b7837", "#c2452d"
_BINS_TOGETHER = 20  # of a thousandth each
_MAX_CAMERAS_WITH_NUMBERS = 12


def cmc_figure(result: RetrievalResult, max_rank: int) -> str:
    """The share of queries found within the first k."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(np.arange(1, max_rank + 1), 100 * result.cmc(max_rank), color=_SAME)
    axes.set(xlabel="rank k", ylabel="queries found within k, %", xlim=(1, max_rank))
    axes.grid(alpha=0.3)
    return _svg(figure)


def histogram_figure(histogram: ScoreHistogram) -> str:
    """The scores of same and of different people, each as a share of its own kind."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    edges = np.linspace(-1, 1, len(histogram.genuine) // _BINS_TOGETHER + 1)
    for counts, colour, label in (
        (histogram.impostor, _DIFFERENT, "different people"),
        (histogram.genuine, _SAME, "same person"),
    ):
        axes.stairs(_shares(counts), edges, fill=True, color=colour, alpha=0.55, label=label)
    used = np.flatnonzero(_shares(histogram.genuine + histogram.impostor))
    axes.set(xlabel="score (cosine)", ylabel="share of pairs, % per 0.02", xlim=(edges[used[0]], edges[used[-1] + 1]))
    axes.legend()
    return _svg(figure)


def roc_figure(roc: Roc, num_impostor_pairs: int) -> str:
    """The true-match rate over the false-match rate, this on a logarithmic axis, with the equal-error rate."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    measured = roc.false_match_rates > 0
    axes.semilogx(roc.false_match_rates[measured], 100 * roc.true_match_rates[measured], color=_SAME)
    axes.plot(roc.equal_error_rate, 100 * (1 - roc.equal_error_rate), "o", color=_DIFFERENT, label="equal errors")
    axes.set(
        xlabel="false-match rate (per comparison)",
        ylabel="true-match rate, %",
        xlim=(1 / num_impostor_pairs, 1),
        ylim=(0, 102),
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return _svg(figure)


def camera_figure(pairs: Mapping[tuple[str, str], RetrievalResult]) -> str:
    """Rank-1 of each query camera against each gallery camera; grey where there is no true match."""
    cameras = sorted({name for names in pairs for name in names})
    table = np.full((len(cameras), len(cameras)), np.nan)
    for (asking, searched), result in pairs.items():
        table[cameras.index(asking), cameras.index(searched)] = 100 * result.rank(1)
    side = max(3.6, 0.5 * len(cameras) + 1.6)
    figure = Figure(figsize=(side + 1.2, side), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor("#dddddd")
    image = axes.imshow(table, vmin=0, vmax=100, cmap="viridis")
    # A camera may be called anything, and `$` would start a formula.
    axes.set_xticks(range(len(cameras)), cameras, rotation=0 if max(map(len, cameras)) < 4 else 60, parse_math=False)
    axes.set_yticks(range(len(cameras)), cameras, parse_math=False)
    axes.set(xlabel="gallery camera", ylabel="query camera")
    figure.colorbar(image, label="Rank-1, %")
    if len(cameras) <= _MAX_CAMERAS_WITH_NUMBERS:
        for row, column in np.argwhere(~np.isnan(table)):
            share = table[row, column]
            colour = "black" if share > 60 else "white"
            axes.text(column, row, f"{share:.0f}", ha="center", va="center", color=colour)
    return _svg(figure)


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    together = counts.reshape(-1, _BINS_TOGETHER).sum(axis=1)
    shares: NDArray[np.float64] = 100 * together / counts.sum()
    return shares


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    # Without a fixed salt and date, the same evaluation would give another file each time.
    with mpl.rc_context({"svg.hashsalt": "reid", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
