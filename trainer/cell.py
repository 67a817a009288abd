"""One cell of a study: train, judge as a bundle, write one JSON."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch

from trainer.bundling import Origin
from trainer.distributed import World
from trainer.loop import run
from trainer.study import Study
from trainer.training import training_of


def run_cell(study: Study, cell: int, data: Path, folder: Path, device: torch.device) -> None:
    """Run a cell, going on from its checkpoint if it has one, and write its result whole or not at all.

    A run that diverged is a result too: its verdict says where, and it has no figures.
    """
    recipe = study.cell_recipe(cell)
    place = folder / "runs" / f"cell-{cell:03d}"
    training = training_of(recipe, data, device)
    outcome = run(training.task, recipe, place, World(0, 1), resume=True)
    figures: dict[str, Any] = {}
    if outcome.verdict == "finished":
        origin = Origin(licence="not stated", command=f"reid-trainer study {study.name}")
        figures = training.bundle(place / "bundle", outcome, origin).metrics
    _write(
        cell_file(folder, cell),
        {
            "study": study.name,
            "cell": cell,
            "overrides": study.cells()[cell],
            "fixed": dict(study.fixed),
            **dataclasses.asdict(outcome),
            **figures,
        },
    )


def cell_file(folder: Path, cell: int) -> Path:
    """Where a cell's result lies."""
    return folder / "cells" / f"cell-{cell:03d}.json"


def read_cells(folder: Path) -> list[dict[str, Any]]:
    """The results there are, by number."""
    return [json.loads(path.read_text()) for path in sorted((folder / "cells").glob("cell-*.json"))]


def _write(path: Path, result: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(result, indent=1) + "\n")
    temporary.replace(path)
