"""The learning rate as a pure function of the step."""

import math

from trainer.recipes import Recipe


def learning_rate_factor(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Share of the recipe's learning rate at a step (from 0): warm-up, then steps or a cosine to zero.

    Warm-up rises linearly from `warmup_factor`. The `step` schedule multiplies by `gamma` at each milestone epoch.
    """
    epoch = step / steps_per_epoch
    if epoch < recipe.warmup_epochs:
        progress = epoch / recipe.warmup_epochs
        return recipe.warmup_factor + (1 - recipe.warmup_factor) * progress
    if recipe.schedule == "step":
        return recipe.gamma ** sum(epoch >= milestone for milestone in recipe.milestones)
    progress = (epoch - recipe.warmup_epochs) / (recipe.epochs - recipe.warmup_epochs)
    return (1 + math.cos(math.pi * progress)) / 2
