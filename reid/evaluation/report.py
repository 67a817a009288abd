"""Evaluation as pictures: the CMC curve, and the scores of same and of different people."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from reid.evaluation.calibration import Calibration
from reid.evaluation.retrieval import RetrievalResult


def draw_cmc(path: Path, result: RetrievalResult, title: str, *, max_rank: int = 50) -> None:
    """Draw the share of queries found within the first k, for k up to `max_rank`, to a PNG."""
    ranks = np.arange(1, max_rank + 1)
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(ranks, [100 * result.rank(int(k)) for k in ranks])
    axes.set(xlabel="rank k", ylabel="found within k, %", title=title)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def draw_calibration(path: Path, calibration: Calibration) -> None:
    """Draw the share of comparisons that reach each score, of the same and of different people, to a PNG."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.semilogy(calibration.scores, calibration.true_match_rates, label="same person, another camera")
    axes.semilogy(calibration.scores, calibration.false_match_rates, label="different people")
    axes.set(xlabel="score (cosine)", ylabel="share that reaches it", title=calibration.domain)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
