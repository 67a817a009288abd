"""Which crops make a batch: pure functions of labels and a seeded generator."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def shuffled_batches(num_crops: int, batch_size: int, generator: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """One pass over all crops in random order, (batch_size,) positions each; an incomplete last batch is dropped."""
    order = generator.permutation(num_crops)
    for start in range(0, num_crops - batch_size + 1, batch_size):
        yield order[start : start + batch_size]


def people_batches(
    labels: NDArray[np.int64], batch_size: int, crops_per_person: int, generator: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """P people × K crops a batch (Hermans et al. 2017), as many batches as the crops would fill.

    People are dealt in random order, all of them before anyone comes again; of each, K crops are drawn, with
    repeats only from a person who has fewer. Raises ``ValueError`` with fewer than P people.
    """
    crops_of = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    people_per_batch = batch_size // crops_per_person
    if len(crops_of) < people_per_batch:
        raise ValueError(f"expected at least {people_per_batch} people for a batch, got {len(crops_of)}")
    waiting: list[int] = []
    for _ in range(len(labels) // batch_size):
        if len(waiting) < people_per_batch:
            waiting = generator.permutation(len(crops_of)).tolist()
        chosen, waiting = waiting[:people_per_batch], waiting[people_per_batch:]
        yield np.concatenate([_draw(crops_of[person], crops_per_person, generator) for person in chosen])


def _draw(crops: NDArray[np.int64], count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    drawn: NDArray[np.int64] = generator.choice(crops, count, replace=len(crops) < count)
    return drawn
