"""`reid-trainer lr-range`."""

from typing import Annotated

import torch
import typer

from reid.predictors import resolve_device
from trainer.commands.labelled_data import Data
from trainer.commands.shared import Device, one_line_errors, overrides
from trainer.curvature import Curvature, largest_curvature
from trainer.distributed import World
from trainer.loop import MOMENTUM, Task
from trainer.recipes.catalogue import RECIPES, recipe_named
from trainer.recipes.run import RunRecipe
from trainer.training import training_of


def lr_range(
    recipe: Annotated[str, typer.Argument(help=f"One of: {', '.join(sorted(RECIPES))}.")],
    data: Data,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Override one recipe field; may be repeated."),
    ] = None,
    rate: Annotated[
        list[float] | None, typer.Option(help="A rate to judge; may be repeated. Default: the recipe's.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Say what a learning rate will do before an hour is spent on it: lazy, catapult or divergent.

    Measures the largest curvature λ₀ of the loss at the recipe's start, on one batch, in float32. Below 2/λ₀ descent is
    lazy; up to about 12/λ₀ the loss first grows and then finds flatter minima (catapult); beyond, it diverges. The
    theory is of plain gradient descent: sgd's momentum carries a rate ten times as far, which is counted, and a warm-up
    moves the borders.
    """
    with one_line_errors():
        chosen = recipe_named(recipe, overrides(set_ or []))
        if chosen.optimiser != "sgd":
            raise ValueError(f"expected a recipe with the optimiser sgd, got {chosen.optimiser}")
        task = training_of(chosen, data, resolve_device(device)).task
        curvature = measure(task, chosen)
        typer.echo(f"largest curvature {curvature.largest:.4g} (still moving by {curvature.last_change:.1%})")
        reach = 1 / (1 - MOMENTUM)
        lazy_below, divergent_above = curvature.lazy_below / reach, curvature.divergent_above / reach
        typer.echo(f"with momentum {MOMENTUM:g} lazy below {lazy_below:.3g}, divergent above {divergent_above:.3g}")
        for judged in rate or [chosen.learning_rate]:
            typer.echo(f"{judged:g}: {curvature.phase(reach * judged)}")


def measure(task: Task, recipe: RunRecipe) -> Curvature:
    """λ₀ of the task's loss on its first batch, each parameter at its group's share of the rate."""
    batch = next(task.batches(0, World(0, 1)))
    groups = task.parameter_groups()
    parameters = [parameter for group in groups for parameter in group["params"]]
    shares = [group["lr"] / recipe.learning_rate for group in groups for _ in group["params"]]
    task.model.train()

    def loss() -> torch.Tensor:
        torch.manual_seed(recipe.seed)  # the same dropout for every product
        return task.loss(task.model(batch.inputs), batch.targets)

    return largest_curvature(loss, parameters, shares)
