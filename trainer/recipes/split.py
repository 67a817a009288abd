"""What every recipe has whose data is split into folds."""

from dataclasses import dataclass

from trainer.recipes.expectations import Expectation, at_least, one_of
from trainer.recipes.run import RunRecipe


@dataclass(frozen=True)
class SplitRecipe(RunRecipe):
    """Files fall into `folds` parts, in proportion to their labels and by group where groups are known.

    The `fold`-th is for the test, and so many after it for validation; the rest is trained on.
    """

    folds: int = 5
    fold: int = 0
    validation_folds: int = 0
    split_seed: int = 0

    def expectations(self) -> dict[str, Expectation]:
        """The run's, and those of folds."""
        return super().expectations() | {
            "split_seed": at_least(self.split_seed, 0),
            "folds": at_least(self.folds, 2),
            "fold": one_of(self.fold, range(self.folds)),
            "validation_folds": one_of(self.validation_folds, range(self.folds - 1)),
        }

    @property
    def watches_loss(self) -> bool:
        """With folds for validation."""
        return self.validation_folds > 0

    def protocol(self, *, grouped: bool) -> str:
        """Words for what is tested on, of files whose groups are known or not."""
        how = "no group on both sides" if grouped else "random within labels"
        return f"fold {self.fold + 1} of {self.folds}, {how}"
