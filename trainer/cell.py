"""One cell of a study: train, judge as a bundle, write one JSON."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch

from reid.errors import RecipeError, WeightsError
from trainer.bundling import Origin
from trainer.distributed import World
from trainer.logs import write_epochs
from trainer.loop import Outcome, run, run_unsaved
from trainer.recipes.run import RunRecipe
from trainer.study import Study
from trainer.tasks.action_heads import HeadTask
from trainer.training import Training, training_of
from trainer.trainings.actions import ActionTraining


def run_cell(study: Study, cell: int, data: Path, folder: Path, device: torch.device) -> None:
    """Run a cell, going on from its checkpoint if it has one, and write its result whole or not at all.

    A run that diverged is a result too: its verdict says where, and it has no figures.
    """
    recipe = study.cell_recipe(cell)
    place = folder / "runs" / f"cell-{cell:03d}"
    training = training_of(recipe, data, device, folder / "features")
    if isinstance(training, ActionTraining) and isinstance(training.task, HeadTask):
        outcome, figures = _on_features(training, recipe, place)
    else:
        outcome, figures = _as_a_bundle(training, study, recipe, place)
    _write(
        cell_file(folder, cell),
        {
            **_what(study, cell),
            **outcome.to_json(),
            **figures,
        },
    )


def _as_a_bundle(training: Training, study: Study, recipe: RunRecipe, place: Path) -> tuple[Outcome, dict[str, Any]]:
    outcome = run(training.task, recipe, place, World(0, 1), resume=True)
    if outcome.verdict != "finished":
        return outcome, {}
    origin = Origin(licence="not stated", command=f"reid-trainer study {study.name}")
    try:
        return outcome, training.bundle(place / "bundle", outcome, origin).metrics
    except WeightsError as error:  # its loss was finite to the end, its weights are not
        return dataclasses.replace(outcome, verdict=f"diverged by its end: {error}"), {}


def _on_features(training: ActionTraining, recipe: RunRecipe, place: Path) -> tuple[Outcome, dict[str, Any]]:
    """A head over features that are kept: trained in seconds, and judged without looking at any clip again."""
    outcome, epochs = run_unsaved(training.task, recipe)
    place.mkdir(parents=True, exist_ok=True)
    write_epochs(place, epochs)
    return outcome, training.figures() if outcome.verdict == "finished" else {}


def cell_file(folder: Path, cell: int) -> Path:
    """Where a cell's result lies."""
    return folder / "cells" / f"cell-{cell:03d}.json"


def read_cells(folder: Path, study: Study) -> list[dict[str, Any]]:
    """The results there are, by number.

    Raises :class:`RecipeError` for another study's, or one with other fields fixed: it must not stand for this one's.
    """
    results = [json.loads(path.read_text()) for path in sorted((folder / "cells").glob("cell-*.json"))]
    for result in results:
        is_known = result["cell"] < len(study.cells())
        expected = json.loads(json.dumps(_what(study, result["cell"]))) if is_known else {}
        if not is_known or {name: result.get(name) for name in expected} != expected:
            raise RecipeError(
                f"{folder}: expected cells of {study.name} with {dict(study.fixed)} fixed, got cell {result['cell']} "
                f"of {result['study']} with {result['overrides']} and {result['fixed']} fixed, or of another recipe; "
                "give each study a folder"
            )
    return results


def _what(study: Study, cell: int) -> dict[str, Any]:
    """What a result is of; two studies may have one name, and a recipe's own fields may change."""
    return {
        "study": study.name,
        "cell": cell,
        "overrides": study.cells()[cell],
        "fixed": dict(study.fixed),
        "recipe": dataclasses.asdict(study.cell_recipe(cell)),
    }


def _write(path: Path, result: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(result, indent=1) + "\n")
    temporary.replace(path)
