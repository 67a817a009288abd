"""The training loop: knows steps, epochs, checkpoints and logs, and nothing of people, clips or classes."""

import dataclasses
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from trainer.checkpoint import load_checkpoint, save_checkpoint
from trainer.recipes import Recipe
from trainer.schedules import learning_rate_factor


class Task(Protocol):
    """What a kind of model must say of itself to be trained."""

    @property
    def modules(self) -> nn.Module:
        """Everything with weights, the parts that only training needs included."""
        ...

    @property
    def steps_per_epoch(self) -> int:
        """Batches an epoch, the same for every epoch."""
        ...

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameter groups for the optimiser, each with its own `lr`."""
        ...

    def batches(self, epoch: int) -> Iterator[Any]:
        """The batches of an epoch (from 0), the same ones whenever it is asked."""
        ...

    def loss(self, batch: Any) -> torch.Tensor:
        """A finite scalar to minimise."""
        ...

    def validate(self, epoch: int) -> dict[str, float]:
        """Figures on what was held out; empty where nothing was."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `verdict` is `finished`, or `diverged at epoch E, step S`."""

    verdict: str
    epochs: int
    seconds: float
    final_loss: float


def run(task: Task, recipe: Recipe, folder: Path, *, resume: bool) -> Outcome:
    """Train to the recipe's last epoch, with a checkpoint after each, and write `outcome.json`.

    With `resume`, go on from `folder/checkpoint.pt` if there is one; an interrupted run then gives the same losses
    as one that was not. Raises :class:`~reid.errors.CheckpointError` when it belongs to another recipe.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.json").write_text(json.dumps(dataclasses.asdict(recipe), indent=1) + "\n")
    return _Run(task, recipe, folder, resume=resume).to_the_end()


class _Run:
    def __init__(self, task: Task, recipe: Recipe, folder: Path, *, resume: bool) -> None:
        self.task, self.recipe, self.folder = task, recipe, folder
        self.recipe_json = json.loads(json.dumps(dataclasses.asdict(recipe)))
        self.optimiser = _optimiser(recipe, task.parameter_groups())
        self.base_rates = [group["lr"] for group in self.optimiser.param_groups]
        self.epoch = 0
        self.seconds_before = 0.0
        self.started = time.monotonic()
        if resume and self.checkpoint_path.exists():
            self._restore()

    @property
    def checkpoint_path(self) -> Path:
        return self.folder / "checkpoint.pt"

    def to_the_end(self) -> Outcome:
        loss = math.nan
        with _progress() as bar:
            for epoch in range(self.epoch, self.recipe.epochs):
                diverged_at, loss = self._train_epoch(epoch, bar)
                if diverged_at is not None:
                    return self._end(f"diverged at epoch {epoch + 1}, step {diverged_at + 1}", epoch, loss)
                self.epoch = epoch + 1
                self._log(epoch=self.epoch, loss=loss, **self.task.validate(epoch))
                self._save()
        return self._end("finished", self.epoch, loss)

    def _train_epoch(self, epoch: int, bar: Progress) -> tuple[int | None, float]:
        """Returns the step at which the loss stopped being finite (or None) and the epoch's mean loss."""
        torch.manual_seed(_epoch_seed(self.recipe.seed, epoch))
        self.task.modules.train()
        steps = self.task.steps_per_epoch
        row = bar.add_task(f"epoch {epoch + 1}/{self.recipe.epochs}", total=steps, loss="")
        total = 0.0
        for step, batch in enumerate(self.task.batches(epoch)):
            loss = self._step(batch, epoch * steps + step)
            if not math.isfinite(loss):
                return step, loss
            total += loss
            bar.update(row, advance=1, loss=f"loss {total / (step + 1):.3f}")
        return None, total / steps

    def _step(self, batch: Any, step: int) -> float:
        factor = learning_rate_factor(self.recipe, step, self.task.steps_per_epoch)
        for group, rate in zip(self.optimiser.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * factor
        loss = self.task.loss(batch)
        value = loss.item()
        if math.isfinite(value):
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()
        return value

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.started

    def _log(self, **fields: float) -> None:
        line = {"seconds": round(self._seconds(), 1), **fields}
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _save(self) -> None:
        state = {
            "recipe": self.recipe_json,
            "epoch": self.epoch,
            "seconds": self._seconds(),
            "modules": self.task.modules.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        save_checkpoint(self.checkpoint_path, state)

    def _restore(self) -> None:
        state = load_checkpoint(self.checkpoint_path, self.recipe_json)
        self.task.modules.load_state_dict(state["modules"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.epoch = state["epoch"]
        self.seconds_before = state["seconds"]

    def _end(self, verdict: str, epochs: int, loss: float) -> Outcome:
        outcome = Outcome(verdict, epochs, round(self._seconds(), 1), loss)
        (self.folder / "outcome.json").write_text(json.dumps(dataclasses.asdict(outcome), indent=1) + "\n")
        return outcome


def _epoch_seed(seed: int, epoch: int) -> int:
    """Every epoch draws its own random numbers, so that a resumed one draws them again."""
    return seed * 100_003 + epoch


def _optimiser(recipe: Recipe, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    match recipe.optimiser:
        case "sgd":
            return torch.optim.SGD(groups, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay, fused=True)
        case "adam":
            return torch.optim.Adam(groups, weight_decay=recipe.weight_decay, fused=True)
        case _:
            return torch.optim.AdamW(groups, weight_decay=recipe.weight_decay, fused=True)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TimeRemainingColumn(),
    )
