"""What every run has, whatever it trains: batches, an optimiser, a schedule, a seed."""

from dataclasses import dataclass

from reid.errors import RecipeError


@dataclass(frozen=True)
class RunRecipe:
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
        if wrong := [field for field, fits in self.expectations().items() if not fits]:
            raise RecipeError("; ".join(f"{field} does not fit: {getattr(self, field)!r}" for field in wrong))

    def expectations(self) -> dict[str, bool]:
        """Whether each field that could be wrong is right; a task's recipe adds its own."""
        return {
            "epochs": self.epochs >= 1,
            "batch_size": self.batch_size >= 1,
            "batch_growth": all(factor >= 1 for _, factor in self.batch_growth),
            "optimiser": self.optimiser in ("sgd", "adam", "adamw"),
            "learning_rate": self.learning_rate > 0,
            "max_gradient_norm": self.max_gradient_norm >= 0,
            "average_decay": 0 <= self.average_decay < 1,
            "patience": self.patience >= 0,
            "schedule": self.schedule in ("step", "cosine", "bouncing"),
        }
