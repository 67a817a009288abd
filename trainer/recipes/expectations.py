"""What a recipe's fields have to be: whether a value is, and the words for it."""

import math
from collections.abc import Iterable
from typing import NamedTuple


class Expectation(NamedTuple):
    """Whether a value `fits`, and what was `expected`."""

    fits: bool
    expected: str


def at_least(value: float, least: float) -> Expectation:
    """`value` ≥ `least`, and finite."""
    return Expectation(least <= value < math.inf, f"a number of at least {least}")


def above(value: float, bound: float) -> Expectation:
    """`value` > `bound`, and finite."""
    return Expectation(bound < value < math.inf, f"a number of more than {bound}")


def share(value: float, *, of_all: bool = True) -> Expectation:
    """From 0 to 1, 1 itself only with `of_all`."""
    return Expectation(0 <= value <= 1, "0 to 1") if of_all else Expectation(0 <= value < 1, "0 to less than 1")


def one_of(value: object, names: Iterable[object]) -> Expectation:
    """Among `names`."""
    known = list(names)
    return Expectation(value in known, f"one of {known}")


def only_with(value: float, fits: bool, condition: str) -> Expectation:
    """0, or more where `condition` holds."""
    return Expectation(value == 0 or (value > 0 and fits), f"0, or more with {condition}")
