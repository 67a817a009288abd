"""What every run has, whatever it trains: batches, an optimiser, a schedule, a seed."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from reid.errors import RecipeError
from trainer.recipes.expectations import Expectation, above, at_least, one_of, only_with, share


@dataclass(frozen=True)
class RunRecipe(ABC):
    """The fields that the loop and the schedules read; each task's recipe adds its own. Times in epochs."""

    name: str
    batch_size: int = 32
    batch_growth: tuple[tuple[int, int], ...] = ()  # (epoch, factor): from that epoch, batches larger by the factor
    optimiser: str = "sgd"
    learning_rate: float = 0.05
    weight_decay: float = 5e-4
    max_gradient_norm: float = 0.0  # gradients are scaled down to this norm; 0 leaves them
    average_decay: float = 0.0  # of an exponential moving average of the weights, which is what counts then; 0: none
    epochs: int = 60
    patience: int = 0  # epochs without a lower validation loss before a run stops, its best weights kept; 0: none
    schedule: str = "step"  # `step` (milestones, gamma), `cosine` (to zero) or `bouncing` (gamma at each bounce's end)
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    warmup_epochs: float = 0
    warmup_factor: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise :class:`RecipeError` that names every field whose value cannot train."""
        wrong = [
            f"{field}: expected {expected}, got {getattr(self, field)!r}"
            for field, (fits, expected) in self.expectations().items()
            if not fits
        ]
        if wrong:
            raise RecipeError("; ".join(wrong))

    def expectations(self) -> dict[str, Expectation]:
        """What each field has to be that could be wrong; a task's recipe adds its own."""
        return {
            "epochs": at_least(self.epochs, 1),
            "batch_size": at_least(self.batch_size, 1),
            "batch_growth": Expectation(
                all(factor >= 1 for _, factor in self.batch_growth), "pairs of an epoch and a factor of at least 1"
            ),
            "optimiser": one_of(self.optimiser, ("sgd", "adam", "adamw")),
            "learning_rate": above(self.learning_rate, 0),
            "weight_decay": at_least(self.weight_decay, 0),
            "max_gradient_norm": at_least(self.max_gradient_norm, 0),
            "average_decay": share(self.average_decay, of_all=False),
            "patience": only_with(
                self.patience, self.watches_loss, "hold_out_crops or validation_folds, whose loss is watched"
            ),
            "schedule": one_of(self.schedule, ("step", "cosine", "bouncing")),
            "gamma": at_least(self.gamma, 0),
            "warmup_epochs": at_least(self.warmup_epochs, 0),
            "warmup_factor": share(self.warmup_factor),
            "seed": at_least(self.seed, 0),
        }

    @property
    @abstractmethod
    def watches_loss(self) -> bool:
        """Whether something is held back whose loss is measured after each epoch."""
