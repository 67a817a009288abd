"""Figures of a bundle on the terminal."""

from collections.abc import Mapping
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from reid.kinds import ACTION, CLASSIFIER, EMBEDDING


def print_figures(kind: str, figures: Mapping[str, Any]) -> None:
    """Print what a bundle of this kind is judged by, with the protocol."""
    match kind:
        case EMBEDDING.name:
            _print_retrieval(figures)
        case CLASSIFIER.name | ACTION.name:
            _print_classification(figures)
        case _:
            raise AssertionError(f"no figures for {kind}")


def _print_retrieval(figures: Mapping[str, Any]) -> None:
    """Rank-1/5/10 and both mAPs, and how many queries counted."""
    table = Table("Rank-1", "Rank-5", "Rank-10", "mAP (step)", "mAP (trapezoid)", title=str(figures["protocol"]))
    names = ("rank_1", "rank_5", "rank_10", "mean_ap", "mean_ap_trapezoid")
    table.add_row(*(f"{figures[name]:.2%}" for name in names))
    Console().print(table)
    typer.echo(
        f"{figures['num_valid_queries']} of {figures['num_queries']} queries count, "
        f"against {figures['num_gallery']} crops"
    )


def _print_classification(figures: Mapping[str, Any]) -> None:
    """Accuracy with its interval, and the rates of every label."""
    low, high = figures["accuracy_interval"]
    table = Table("label", "recall", "precision", "F1", "false positive", title=str(figures["protocol"]))
    for label, rates in figures["rates"].items():
        names = ("true_positive_rate", "precision", "f1", "false_positive_rate")
        table.add_row(label, *(f"{rates[name]:.1%}" for name in names))
    Console().print(table)
    top_5 = f", among the best five {figures['top_5_accuracy']:.2%}" if "top_5_accuracy" in figures else ""
    typer.echo(
        f"accuracy {figures['accuracy']:.2%} (95 % interval {low:.1%} to {high:.1%}){top_5} of {figures['num_files']} "
        f"files; expected calibration error {figures['expected_calibration_error']:.3f}"
    )
