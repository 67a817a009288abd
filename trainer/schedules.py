"""The learning rate and the batch size as pure functions of the epoch."""

import itertools
import math
from collections.abc import Sequence

from trainer.recipes.run import RunRecipe


def learning_rate_factor(recipe: RunRecipe, epoch: float, weight_norms: Sequence[float] = ()) -> float:
    """Share of the recipe's learning rate at an epoch (fractional, from 0): warm-up, then the recipe's schedule.

    Warm-up rises linearly from `warmup_factor`. `step` multiplies by `gamma` at each milestone epoch, `cosine` falls
    to zero, `bouncing` multiplies by `gamma` as often as :func:`bounces_ended` says of the epochs' `weight_norms`.
    """
    if epoch < recipe.warmup_epochs:
        progress = epoch / recipe.warmup_epochs
        return recipe.warmup_factor + (1 - recipe.warmup_factor) * progress
    match recipe.schedule:
        case "step":
            decays = sum(epoch >= milestone for milestone in recipe.milestones)
            return recipe.gamma**decays
        case "bouncing":
            return recipe.gamma ** bounces_ended(weight_norms)
        case _:
            progress = (epoch - recipe.warmup_epochs) / (recipe.epochs - recipe.warmup_epochs)
            return (1 + math.cos(math.pi * progress)) / 2


def bounces_ended(weight_norms: Sequence[float]) -> int:
    """How often the weight norm, having turned up from a minimum, came to a maximum: each time, decay the rate.

    One norm an epoch, in order. After Lewkowycz 2021, "How to decay your learning rate" (arXiv 2103.12682), which
    observes that the norm falls, then rises (bounces), and that a lower rate pays once it has stopped rising.

    >>> bounces_ended([5, 4, 3, 3.5, 4, 3.9, 3.0, 3.2, 3.1])
    2
    """
    steps = [later - earlier for earlier, later in itertools.pairwise(weight_norms)]
    turns = [later for earlier, later in itertools.pairwise(steps) if earlier * later < 0]
    first_minimum = next((place for place, step in enumerate(turns) if step > 0), len(turns))
    return sum(step < 0 for step in turns[first_minimum:])


def batch_size_at(recipe: RunRecipe, epoch: int) -> int:
    """Crops a batch at an epoch: `batch_size`, multiplied by each factor of `batch_growth` whose epoch has come.

    The growing batch of Lee et al. 2019: the noise of a small batch early, the speed of a large one late.
    """
    return recipe.batch_size * math.prod(factor for start, factor in recipe.batch_growth if start <= epoch)
