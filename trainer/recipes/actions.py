"""Recipes that train an action recogniser on frozen image features."""

import dataclasses
from dataclasses import dataclass

from reid.clips.preprocess import FITS, ClipPreprocess
from reid.clips.sampling import Policy
from reid.datasets.videos import Grouping
from reid.networks.action import BACKBONES, GREY, HEADS, ActionArguments
from reid.networks.activations import ACTIVATIONS
from trainer.recipes.split import SplitRecipe


@dataclass(frozen=True)
class ActionRecipe(SplitRecipe):
    """One way to train a head over a frozen frame network, whose features of a clip are computed once."""

    backbone: str = "efficientnet_b0"
    activation: str = ""  # in place of the frame network's own, gates kept
    initial_weights: str = "imagenet"  # `imagenet` (timm, downloaded), `package` (an installed one), or a .pth file
    head: str = "locations"
    dropout: float = 0.0
    label_smoothing: float = 0.0
    policy: str = "middle"
    num_frames: int = 40
    rate_hz: float = 0.0  # 0: every frame
    size_px: int = 224
    fit: str = "letterbox"
    grouping: str = "none"  # how a clip's recording is told: `none`, `ranges`, `hmdb51`, `ucf101`

    def expectations(self) -> dict[str, bool]:
        """The split's, and those of network and clips."""
        return super().expectations() | {
            "backbone": self.backbone in BACKBONES,
            "activation": not self.activation or self.activation in ACTIVATIONS,
            "head": self.head in HEADS,
            "dropout": 0 <= self.dropout < 1,
            "label_smoothing": 0 <= self.label_smoothing < 1,
            "policy": self.policy in [policy.value for policy in Policy],
            "num_frames": self.num_frames >= 1,
            "rate_hz": self.rate_hz >= 0,
            "fit": self.fit in FITS,
            "initial_weights": self.backbone != GREY or self.initial_weights == "none",
            "size_px": self.size_px >= 1,
            "grouping": self.grouping in [grouping.value for grouping in Grouping],
        }

    def network(self, num_labels: int) -> ActionArguments:
        """The network's arguments, as the bundle stores them."""
        return ActionArguments(self.backbone, num_labels, self.head, self.activation, self.dropout)

    @property
    def preprocess(self) -> ClipPreprocess:
        """Frames and their size."""
        scale = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)} if self.backbone == GREY else {}
        size = self.size_px
        return ClipPreprocess(size, size, self.policy, self.num_frames, self.rate_hz, self.fit, **scale)


# The action paper's settings, on HMDB51's folders: 60 / 20 / 20 %, recordings on both sides as there.
ACTIONS_PAPER = ActionRecipe(
    name="paper-actions",
    validation_folds=1,
    batch_size=32,
    optimiser="adam",
    learning_rate=1e-3,
    weight_decay=0.0,
    epochs=15,
)

# Fights on surveillance cameras, by how things move: on recordings that were not trained on, what a frozen image
# network sees told less (docs/experiments.md). No recording is on both sides; every step looks at all clips.
FIGHTS = dataclasses.replace(
    ACTIONS_PAPER,
    name="fights",
    backbone="grey_frames",
    initial_weights="none",
    head="flow",
    policy="middle",
    num_frames=16,
    rate_hz=8.0,
    size_px=64,
    fit="stretch",
    grouping="ranges",
    validation_folds=0,
    batch_size=128,
    learning_rate=1e-2,
    weight_decay=0.03,
    schedule="cosine",
    epochs=300,
)
