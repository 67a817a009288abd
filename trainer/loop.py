"""The training loop: knows steps, epochs, checkpoints and processes, and nothing of people, clips or classes."""

import dataclasses
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from reid.errors import CheckpointError, RecipeError
from reid.precision import Precision
from trainer.checkpoint import load_checkpoint, save_checkpoint
from trainer.distributed import World
from trainer.logs import EpochLog, Progress
from trainer.recipes.run import RunRecipe
from trainer.schedules import learning_rate_factor

Tensors = tuple[torch.Tensor, ...]

_EXPLODED = 1e3  # times the run's first loss, or times 1 where that is less: no catapult throws so far


@dataclass(frozen=True)
class Batch:
    """What goes into the model and what its outputs are compared with, each (B, …), on the device."""

    inputs: torch.Tensor
    targets: Tensors


class Task(Protocol):
    """What a kind of model must say of itself to be trained."""

    device: torch.device
    precision: Precision
    """What the model runs in; losses are computed in float32."""

    @property
    def model(self) -> nn.Module:
        """Everything with weights, what only training needs included: (B, …) inputs → a tuple of (B, …) outputs."""
        ...

    def data_sha256(self) -> str:
        """Of the files that are trained on: a checkpoint goes on with no others."""
        ...

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameter groups for the optimiser, each with its own `lr`."""
        ...

    def steps_per_epoch(self, epoch: int) -> int:
        """How many batches an epoch (from 0) has."""
        ...

    def batches(self, epoch: int, world: World) -> Iterator[Batch]:
        """This process's share of the epoch's batches, the same ones whenever it is asked."""
        ...

    def loss(self, outputs: Tensors, targets: Tensors) -> torch.Tensor:
        """A scalar to minimise, of a whole batch."""
        ...

    def top1_error(self, outputs: Tensors, targets: Tensors) -> float:
        """The share of a batch that is classified wrongly."""
        ...

    def validate(self, model: nn.Module, epoch: int) -> dict[str, float]:
        """Figures of `model` on what was held out; empty where nothing was."""
        ...


MOMENTUM = 0.9  # of sgd


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `verdict` is `finished`, or `diverged at epoch E, step S`."""

    verdict: str
    epochs: int
    seconds: float
    final_loss: float

    def to_json(self) -> dict[str, Any]:
        """A loss that is not finite, which JSON has no word for, is left out."""
        said = dataclasses.asdict(self)
        return said if math.isfinite(self.final_loss) else {name: said[name] for name in said if name != "final_loss"}


def run(task: Task, recipe: RunRecipe, folder: Path, world: World, *, resume: bool) -> Outcome:
    """Train to the recipe's last epoch, with a checkpoint after each; logs and `outcome.json` lie in `folder`.

    With `resume`, go on from `folder/checkpoint.pt` if there is one: an interrupted run then gives the same losses as
    one that was not. At the end `task.model` holds what counts: the averaged weights, if the recipe averages.
    Raises :class:`CheckpointError` when the folder holds a run and `resume` is not asked, or one of another recipe or
    other data.
    """
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists() and not resume:
        raise CheckpointError(f"{folder} holds a run: resume it, or choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    started = _Run(task, recipe, checkpoint, world)
    outcome = started.to_the_end()
    if world.leads:
        started.log.draw()
        (folder / "outcome.json").write_text(json.dumps(outcome.to_json(), indent=1) + "\n")
    return outcome


def run_unsaved(task: Task, recipe: RunRecipe) -> tuple[Outcome, list[dict[str, float]]]:
    """Train to the last epoch and write nothing: the outcome, and every epoch's figures.

    For runs of seconds, which to begin again costs less than to keep.
    """
    started = _Run(task, recipe, None, World(0, 1))
    return started.to_the_end(), started.log.epochs


class _Run:
    def __init__(self, task: Task, recipe: RunRecipe, checkpoint: Path | None, world: World) -> None:
        self.task, self.recipe, self.checkpoint, self.world = task, recipe, checkpoint, world
        _check_batches(task, recipe)
        self.recipe_json = json.loads(json.dumps(dataclasses.asdict(recipe)))
        self.optimiser = _optimiser(recipe, task.parameter_groups())
        self.base_rates = [group["lr"] for group in self.optimiser.param_groups]
        self.scaler = torch.amp.GradScaler(task.device.type, enabled=task.device.type == "cuda")
        self.average = _average(task.model, recipe.average_decay)
        self.weight_norms: list[float] = []
        self.first_loss: float | None = None
        self.best: dict[str, Any] | None = None  # epoch, loss and weights of the lowest validation loss so far
        self.log = EpochLog(Path() if checkpoint is None else checkpoint.parent, self.recipe_json)
        self.data = "" if checkpoint is None else task.data_sha256()
        self.seconds_before = 0.0
        self.started = time.monotonic()
        if checkpoint is not None and checkpoint.exists():
            self._restore(checkpoint)
        self.parallel = world.wrap(task.model, task.device)

    @property
    def judged(self) -> nn.Module:
        """The model that is validated and kept."""
        return self.task.model if self.average is None else self.average.module

    def to_the_end(self) -> Outcome:
        with Progress(self.recipe.epochs, shown=self.world.leads and self.checkpoint is not None) as progress:
            while len(self.log.epochs) < self.recipe.epochs and not self._out_of_patience():
                epoch = len(self.log.epochs)
                figures, wrong_step = self._train_epoch(epoch, progress)
                if wrong_step is not None:
                    return self._outcome(f"diverged at epoch {epoch + 1}, step {wrong_step + 1}", figures["loss"])
                self.weight_norms.append(_weight_norm(self.task.model))
                figures |= self.world.told(self.task.validate(self.judged, epoch) if self.world.leads else {})
                self.log.append({"epoch": epoch + 1, "seconds": round(self._seconds(), 1), **figures})
                self._keep_best(figures)
                if self.world.leads and self.checkpoint is not None:
                    self._save(self.checkpoint)
                    self.log.write()
        self.task.model.load_state_dict(self.judged.state_dict() if self.best is None else self.best["model"])
        return self._outcome("finished", self.log.epochs[-1]["loss"])

    def _train_epoch(self, epoch: int, progress: Progress) -> tuple[dict[str, float], int | None]:
        """The epoch's mean figures and, if the loss exploded or stopped being finite, the step at which it did."""
        torch.manual_seed(self.recipe.seed * 100_003 + epoch)
        self.task.model.train()
        steps = self.task.steps_per_epoch(epoch)
        progress.begin(epoch, steps)
        sums = {"loss": 0.0, "top1_error": 0.0}
        waited, started = 0.0, time.monotonic()
        batches = self.task.batches(epoch, self.world)
        for step in range(steps):
            asked = time.monotonic()
            batch = next(batches)
            waited += time.monotonic() - asked
            self._set_rate(epoch + step / steps)
            loss, error = self._step(batch)
            if self._diverged(loss):
                return {"loss": loss}, step
            sums["loss"] += loss
            sums["top1_error"] += error
            progress.advance(sums["loss"] / (step + 1))
        rate = self.optimiser.param_groups[-1]["lr"]
        means = {name: total / steps for name, total in sums.items()}
        return means | {"learning_rate": rate, "waiting": round(waited / (time.monotonic() - started), 4)}, None

    def _diverged(self, loss: float) -> bool:
        if self.first_loss is None:
            self.first_loss = loss
        return not loss <= _EXPLODED * max(1.0, self.first_loss)  # `not <=`: nan is no loss either

    def _set_rate(self, epoch: float) -> None:
        factor = learning_rate_factor(self.recipe, epoch, self.weight_norms)
        for group, rate in zip(self.optimiser.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * factor

    def _step(self, batch: Batch) -> tuple[float, float]:
        with self.task.precision.autocast(self.task.device):
            outputs = self.parallel(batch.inputs)
        outputs = tuple(self.world.gather(output.float()) for output in outputs)
        targets = tuple(self.world.gather(target) for target in batch.targets)
        loss = self.task.loss(outputs, targets)
        value = loss.item()
        if math.isfinite(value):
            self._descend(loss)
        return value, self.task.top1_error(outputs, targets)

    def _descend(self, loss: torch.Tensor) -> None:
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if self.recipe.max_gradient_norm:
            self.scaler.unscale_(self.optimiser)
            nn.utils.clip_grad_norm_(self.task.model.parameters(), self.recipe.max_gradient_norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.average is not None:
            self.average.update_parameters(self.task.model)

    def _keep_best(self, figures: dict[str, float]) -> None:
        if not self.recipe.patience:
            return
        if self.best is None or figures["validation_loss"] < self.best["loss"]:
            weights = {name: tensor.clone() for name, tensor in self.judged.state_dict().items()}
            self.best = {"epoch": len(self.log.epochs), "loss": figures["validation_loss"], "model": weights}

    def _out_of_patience(self) -> bool:
        return self.best is not None and len(self.log.epochs) - self.best["epoch"] >= self.recipe.patience

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.started

    def _save(self, checkpoint: Path) -> None:
        state = {
            "recipe": self.recipe_json,
            "data": self.data,
            "epochs": self.log.epochs,
            "weight_norms": self.weight_norms,
            "first_loss": self.first_loss,
            "best": self.best,
            "seconds": self._seconds(),
            "model": self.task.model.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        save_checkpoint(checkpoint, state)

    def _restore(self, checkpoint: Path) -> None:
        state = load_checkpoint(checkpoint, self.recipe_json, self.data)
        self.task.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.scaler.load_state_dict(state["scaler"])
        self.log.epochs = state["epochs"]
        self.weight_norms = state["weight_norms"]
        self.first_loss = state["first_loss"]
        self.best = state["best"]
        self.seconds_before = state["seconds"]

    def _outcome(self, verdict: str, loss: float) -> Outcome:
        return Outcome(verdict, len(self.log.epochs), round(self._seconds(), 1), loss)


def _check_batches(task: Task, recipe: RunRecipe) -> None:
    for epoch in range(recipe.epochs):
        if task.steps_per_epoch(epoch) < 1:
            raise RecipeError(f"expected at least one whole batch in each epoch, got none in epoch {epoch + 1}")


def _weight_norm(model: nn.Module) -> float:
    """Euclidean norm of all that learns."""
    squares = [parameter.detach().square().sum() for parameter in model.parameters() if parameter.requires_grad]
    return float(torch.stack(squares).sum().sqrt())


def _average(model: nn.Module, decay: float) -> AveragedModel | None:
    """What follows the weights and batch statistics, quickly at first: a start from random weights must be forgotten.

    The n-th step keeps (1 + n) / (10 + n) of what it has, up to `decay`, as TensorFlow's moving averages do.
    """
    if not decay:
        return None

    def follow(averaged: Any, current: Any, steps: torch.Tensor | int) -> None:
        kept = min(decay, (1 + int(steps)) / (10 + int(steps)))
        get_ema_multi_avg_fn(kept)(averaged, current, steps)  # type: ignore[no-untyped-call]

    return AveragedModel(model, multi_avg_fn=follow, use_buffers=True)


def _optimiser(recipe: RunRecipe, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    decay = recipe.weight_decay
    match recipe.optimiser:
        case "sgd":
            return torch.optim.SGD(groups, momentum=MOMENTUM, nesterov=True, weight_decay=decay, fused=True)
        case "adam":
            return torch.optim.Adam(groups, weight_decay=decay, fused=True)
        case _:
            return torch.optim.AdamW(groups, weight_decay=decay, fused=True)
