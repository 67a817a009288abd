"""A study: one recipe, some of its fields varied, every combination run once, the results in one table."""

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError, with_config

from reid.errors import RecipeError
from trainer.recipes.actions import ActionRecipe
from trainer.recipes.catalogue import RECIPES, recipe_with
from trainer.recipes.fields import from_text
from trainer.recipes.reid import ReidRecipe
from trainer.recipes.run import RunRecipe

_SEEDS = (0, 1, 2)


@with_config(extra="forbid")
@dataclass(frozen=True)
class Study:
    """`axes` vary independently; the fields of each of `points` vary together. `fixed` overrides hold for all cells.

    Cells that differ in `repeats` alone are one point of the table, told as mean ± standard deviation.
    """

    name: str
    recipe: str
    axes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    points: Sequence[Mapping[str, Any]] = ({},)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    repeats: Sequence[str] = ("seed",)

    def cells(self) -> list[dict[str, Any]]:
        """The overrides of every cell; a cell's place in this list is its number, wherever it is run.

        The points vary fastest: a study that is interrupted holds whole rounds of its repeats.

        >>> Study("s", "debug", {"seed": [0, 1]}, [{"epochs": 2}, {"epochs": 3}]).cells()[1]
        {'epochs': 3, 'seed': 0}
        """
        grid = [dict(zip(self.axes, values, strict=True)) for values in itertools.product(*self.axes.values())]
        return [{**point, **axes} for axes in grid for point in self.points]

    def cell_recipe(self, cell: int) -> RunRecipe:
        """The complete recipe of a cell. Raises :class:`RecipeError` for fields and values that do not exist."""
        return recipe_with(RECIPES[self.recipe], {**self.fixed, **self.cells()[cell]})

    @property
    def sha256(self) -> str:
        """Of the recipes of all cells: whether two studies are one."""
        recipes = [dataclasses.asdict(self.cell_recipe(cell)) for cell in range(len(self.cells()))]
        return hashlib.sha256(json.dumps(recipes, sort_keys=True).encode()).hexdigest()

    def scaled(self, scale: Mapping[str, Any]) -> "Study":
        """The same study with other fixed fields, named so that nobody takes it for the whole."""
        return dataclasses.replace(self, name=f"{self.name}-scaled", fixed={**self.fixed, **scale})


# The paper's grids, with the rate that explodes (0.2) and the batch that diverges (8).
LEARNING_RATE = Study(
    "learning-rate",
    "paper",
    axes={"seed": _SEEDS},
    points=[{"learning_rate": rate} for rate in (0.01, 0.03, 0.05, 0.07, 0.09, 0.1, 0.2)],
)
BATCH_SIZE = Study(
    "batch-size",
    "paper",
    axes={"seed": _SEEDS},
    points=[{"batch_size": size} for size in (8, 16, 32, 64)],
)
# The paper holds the rate, so its batch size and its rate per crop move together; here the rate per crop is held.
BATCH_SIZE_WITH_RATE = Study(
    "batch-size-with-rate",
    "paper",
    axes={"seed": _SEEDS},
    points=[{"batch_size": size, "learning_rate": 0.09 * size / 16} for size in (8, 16, 32, 64)],
)
# The sunglasses paper's rows; its 25 % of flipped copies are a fifth of all images. Folds hold no person on both sides.
_PLAIN: dict[str, Any] = {"weight_decay": 0.0, "dropout": 0.0, "flip": 0.0, "epochs": 40}
_SMALL_NETWORKS = {"conv_nn_1": (1e-4, 40), "conv_nn_2": (5e-6, 50)}  # L2, and epochs with a dropout of 50 %
REGULARISATION = Study(
    "regularisation",
    "sunglasses-paper",
    axes={"seed": tuple(range(5)), "fold": tuple(range(5))},
    points=[
        {"architecture": network, **_PLAIN, **changes}
        for network, (decay, longer) in _SMALL_NETWORKS.items()
        for changes in (
            {},
            {"flip": 0.2},
            {"weight_decay": decay},
            {"dropout": 0.25},
            {"dropout": 0.5, "epochs": longer},
            {"dropout": 0.5, "weight_decay": decay, "epochs": 60},
        )
    ],
    repeats=("fold", "seed"),
)
# The action paper's two tables: functions inside the frozen network, its own one first; losses of probabilities. Each
# seed has a fold of its own, so that five of them judge every clip once.
_ACTIVATIONS = ("swish", "hard_swish", "mish", "gelu", "celu_half")
_LOSSES = (
    "sparse_categorical_cross_entropy",
    "categorical_cross_entropy",
    "categorical_focal",
    "categorical_hinge",
    "kl_divergence",
)


def _activations_and_losses(activations: Sequence[str]) -> list[dict[str, Any]]:
    rows = [{"activation": name} for name in activations]
    rows += [{"head": "probabilities", "loss": loss} for loss in _LOSSES]
    return [{**row, "fold": number, "seed": number} for number in range(5) for row in rows]


ACTIVATIONS_LOSSES_HMDB51 = Study(
    "activations-losses-hmdb51",
    "paper-actions",
    points=_activations_and_losses(_ACTIVATIONS),
    fixed={"grouping": "hmdb51"},
    repeats=("fold", "seed"),
)
# The same on a network whose weights an installed package holds, and which was trained with ReLU6.
ACTIVATIONS_LOSSES = Study(
    "activations-losses",
    "paper-actions",
    points=_activations_and_losses(("relu6", *_ACTIVATIONS)),
    fixed={"backbone": "tf_efficientnet_lite0", "initial_weights": "package", "grouping": "ranges"},
    repeats=("fold", "seed"),
)
STUDIES = {
    study.name: study
    for study in (
        LEARNING_RATE,
        BATCH_SIZE,
        BATCH_SIZE_WITH_RATE,
        REGULARISATION,
        ACTIVATIONS_LOSSES,
        ACTIVATIONS_LOSSES_HMDB51,
    )
}

# What fits the papers' studies to two processor cores; a study run so is labelled `-scaled` wherever it appears.
# From random weights it learns nothing that a rate could spoil: name initial weights (`--set initial_weights=BUNDLE`).
SMALL: dict[str, Any] = {
    "people": 24,
    "test_people": 30,
    "hold_out_crops": 1,
    "sizes": ((0, 64, 32),),
    "pad_px": 4,
    "epochs": 6,
    "milestones": (4,),
    "initial_weights": "none",
}
SMALL_ACTIONS: dict[str, Any] = {"num_frames": 8, "rate_hz": 6.0}  # every fifth of the 40 frames, at 30 a second
SCALES = ("full", "small")


def study_named(name_or_file: str, scale: str, overrides: dict[str, str] | None = None) -> Study:
    """A named study or one from a JSON file, at a scale, other fields fixed by text; with either it is a scaled one.

    Raises :class:`RecipeError` when it does not exist, or for any cell whose recipe does not.
    """
    if name_or_file in STUDIES:
        study = STUDIES[name_or_file]
    elif Path(name_or_file).is_file():
        study = _from_file(Path(name_or_file))
    else:
        raise RecipeError(f"expected a study of {sorted(STUDIES)} or a JSON file, got {name_or_file!r}")
    if scale not in SCALES:
        raise RecipeError(f"expected a scale of {SCALES}, got {scale!r}")
    said = from_text(type(RECIPES[study.recipe]), overrides or {})
    if fixed := {**(_small(study) if scale == "small" else {}), **said}:
        study = study.scaled(fixed)
    for cell in range(len(study.cells())):
        study.cell_recipe(cell)
    return study


def _small(study: Study) -> dict[str, Any]:
    match RECIPES[study.recipe]:
        case ReidRecipe():
            return SMALL
        case ActionRecipe():
            return SMALL_ACTIONS
        case _:
            raise RecipeError(f"expected the scale full, there is no smaller one of {study.name}")


def _from_file(path: Path) -> Study:
    try:
        study = TypeAdapter(Study).validate_json(path.read_text())
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors())
        raise RecipeError(f"{path}: expected a study (name, recipe, axes, points, fixed, repeats): {wrong}") from error
    if not study.cells() or not study.repeats or "/" in study.name:
        raise RecipeError(f"{path}: expected cells, repeats, and a name that a file can have, got {study}")
    if study.recipe not in RECIPES:
        raise RecipeError(f"{path}: expected a recipe of {sorted(RECIPES)}, got {study.recipe!r}")
    return study
