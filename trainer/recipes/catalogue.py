"""Every recipe by its name, and single fields of it overridden (`--set epochs=5`)."""

import dataclasses
from typing import Any

from reid.errors import RecipeError
from trainer.recipes.actions import ACTIONS, ACTIONS_PAPER, FIGHTS
from trainer.recipes.classifiers import HAND_SIGNS, HAND_SIGNS_PAPER, SUNGLASSES, SUNGLASSES_PAPER
from trainer.recipes.fields import AnyRecipe, from_text, recipe_from_json
from trainer.recipes.reid import BASELINE, DEBUG, LIGHT, PAPER, STRONG
from trainer.recipes.run import RunRecipe

_REID = (BASELINE, PAPER, STRONG, DEBUG, LIGHT)
_CLASSIFIERS = (HAND_SIGNS, HAND_SIGNS_PAPER, SUNGLASSES, SUNGLASSES_PAPER)
_ACTIONS = (ACTIONS, ACTIONS_PAPER, FIGHTS)
RECIPES: dict[str, RunRecipe] = {recipe.name: recipe for recipe in (*_REID, *_CLASSIFIERS, *_ACTIONS)}


def recipe_named(name: str, overrides: dict[str, str] | None = None) -> RunRecipe:
    """A recipe with single fields overridden by text, such as `{"epochs": "5", "milestones": "[3]"}`.

    Raises :class:`RecipeError` for a recipe, a field or a value that does not exist.
    """
    if name not in RECIPES:
        raise RecipeError(f"expected a recipe of {sorted(RECIPES)}, got {name!r}")
    recipe = RECIPES[name]
    return recipe_with(recipe, from_text(type(recipe), overrides or {}))


def recipe_with(recipe: AnyRecipe, overrides: dict[str, Any]) -> AnyRecipe:
    """`recipe` with some fields replaced, lists read as tuples. Raises :class:`RecipeError` on unknown fields."""
    return recipe_from_json(type(recipe), dataclasses.asdict(recipe) | overrides)
