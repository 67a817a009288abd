"""A recipe's fields from text and from JSON, each checked against its type."""

import json
import typing
from typing import Any, TypeVar

from reid.errors import RecipeError
from trainer.recipes.run import RunRecipe

AnyRecipe = TypeVar("AnyRecipe", bound=RunRecipe)


def recipe_from_json(kind: type[AnyRecipe], raw: dict[str, Any]) -> AnyRecipe:
    """The recipe that `dataclasses.asdict` and JSON wrote.

    Raises :class:`RecipeError` on unknown fields, values of another type, and values that cannot train.
    """
    types = typing.get_type_hints(kind)
    if unknown := raw.keys() - types.keys():
        raise RecipeError(f"unknown recipe fields {sorted(unknown)}; the fields are {sorted(types)}")
    return kind(**{field: _checked(field, types[field], value) for field, value in raw.items()})


def from_text(kind: type[RunRecipe], overrides: dict[str, str]) -> dict[str, Any]:
    """Text from the command line as values: JSON, except where the field is text itself."""
    types = typing.get_type_hints(kind)
    return {field: text if types.get(field) is str else _parsed(field, text) for field, text in overrides.items()}


def _parsed(field: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise RecipeError(f"{field}: expected a JSON value, got {text!r}") from error


def _checked(field: str, kind: Any, value: Any) -> Any:
    value = _as_tuples(value)
    if kind is float and type(value) is int:
        value = float(value)
    if not _is_of(kind, value):
        raise RecipeError(f"{field}: expected {_form(kind)}, got {value!r}")
    return value


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(item) for item in value) if isinstance(value, list | tuple) else value


def _is_of(kind: Any, value: Any) -> bool:
    """Whether `value` is of a field's type: a plain one, or tuples of them of the right length."""
    if typing.get_origin(kind) is not tuple:
        return type(value) is kind
    inner = typing.get_args(kind)
    if not isinstance(value, tuple):
        return False
    if inner[-1] is Ellipsis:
        return all(_is_of(inner[0], item) for item in value)
    return len(value) == len(inner) and all(_is_of(*pair) for pair in zip(inner, value, strict=True))


def _form(kind: Any) -> str:
    """A type as JSON shows it: `int`, `[int, …]`, `[[int, int], …]`."""
    if typing.get_origin(kind) is not tuple:
        return str(kind.__name__)
    return "[" + ", ".join("…" if item is Ellipsis else _form(item) for item in typing.get_args(kind)) + "]"
