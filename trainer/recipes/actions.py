"""Recipes that train an action recogniser: a head over a frozen image network, or both."""

import dataclasses
from dataclasses import dataclass

from reid.clips.preprocess import FITS, ClipPreprocess
from reid.clips.sampling import Policy
from reid.datasets.hmdb51 import NUM_SPLITS
from reid.datasets.videos import Grouping
from reid.networks.action import BACKBONES, GREY, HEADS, ActionArguments
from reid.networks.activations import ACTIVATIONS
from trainer.losses.probabilities import PROBABILITY_LOSSES
from trainer.recipes.expectations import Expectation, at_least, one_of, only_with, share
from trainer.recipes.split import SplitRecipe


@dataclass(frozen=True)
class ActionRecipe(SplitRecipe):
    """One way to train a head over a frame network.

    The frame network is frozen and what it sees in a clip computed once, unless it has a rate: then it learns too.
    A `batch_size` of 0 is all clips that are trained on. The `loss` is of logits (`cross_entropy`) or, by its name in
    :data:`~trainer.losses.probabilities.PROBABILITY_LOSSES`, of probabilities.
    """

    backbone: str = "efficientnet_b0"
    activation: str = ""  # in place of the frame network's own, gates kept
    initial_weights: str = "imagenet"  # `imagenet` (timm, downloaded), `package` (an installed one), or a .pth file
    head: str = "locations"
    dropout: float = 0.0
    frames_learning_rate: float = 0.0  # of the frame network; 0: it stays as it is
    flip: float = 0.0  # share of clips that are mirrored, where the frame network learns
    loss: str = "cross_entropy"
    label_smoothing: float = 0.0  # of cross_entropy alone
    policy: str = "middle"
    num_frames: int = 40
    rate_hz: float = 0.0  # 0: every frame
    size_px: int = 224
    fit: str = "letterbox"
    official_split: int = 0  # 1, 2 or 3: HMDB51's own, in place of folds; nothing is then held back to watch
    grouping: str = "none"  # how a clip's recording is told: `none`, `ranges`, `hmdb51`, `ucf101`

    def expectations(self) -> dict[str, Expectation]:
        """The split's, and those of network and clips."""
        return super().expectations() | {
            "batch_size": at_least(self.batch_size, 0),
            "backbone": one_of(self.backbone, BACKBONES),
            "activation": one_of(self.activation, ("", *ACTIVATIONS)),
            "head": one_of(self.head, HEADS),
            "dropout": share(self.dropout, of_all=False),
            "frames_learning_rate": only_with(
                self.frames_learning_rate, self.backbone != GREY, f"a backbone other than {GREY}"
            ),
            "flip": only_with(
                self.flip, self.flip <= 1 and self.frames_learning_rate > 0, "a frames_learning_rate, and at most 1"
            ),
            "loss": one_of(self.loss, ("cross_entropy", *PROBABILITY_LOSSES)),
            "label_smoothing": only_with(
                self.label_smoothing,
                self.label_smoothing < 1 and self.loss == "cross_entropy",
                "cross_entropy, and less than 1",
            ),
            "policy": one_of(self.policy, [policy.value for policy in Policy if policy is not Policy.DENSE]),
            "num_frames": at_least(self.num_frames, 1),
            "rate_hz": only_with(self.rate_hz, self.policy != Policy.UNIFORM, "a policy other than uniform"),
            "fit": one_of(self.fit, FITS),
            "initial_weights": Expectation(self.backbone != GREY or self.initial_weights == "none", f"none for {GREY}"),
            "size_px": at_least(self.size_px, 1),
            "official_split": one_of(self.official_split, range(NUM_SPLITS + 1)),
            "grouping": one_of(self.grouping, [grouping.value for grouping in Grouping]),
        }

    @property
    def watches_loss(self) -> bool:
        """With folds for validation, which an official split has none of."""
        return super().watches_loss and not self.official_split

    def protocol(self, *, grouped: bool) -> str:
        """The official split's number, where it is that."""
        official = f"HMDB51's official split {self.official_split}"
        return official if self.official_split else super().protocol(grouped=grouped)

    def network(self, num_labels: int) -> ActionArguments:
        """The network's arguments, as the bundle stores them."""
        return ActionArguments(self.backbone, num_labels, self.head, self.activation, self.dropout)

    @property
    def learns_on_maps(self) -> bool:
        """Whether the head has weights before it takes means, so that no mean can be kept of a clip."""
        return self.head == "probabilities"

    @property
    def preprocess(self) -> ClipPreprocess:
        """Frames and their size."""
        scale = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)} if self.backbone == GREY else {}
        size = self.size_px
        return ClipPreprocess(size, size, self.policy, self.num_frames, self.rate_hz, self.fit, **scale)


# The action paper's settings, on HMDB51's folders: 60 / 20 / 20 %, recordings on both sides and each part one batch, as
# there.
ACTIONS_PAPER = ActionRecipe(
    name="paper-actions",
    validation_folds=1,
    batch_size=0,
    optimiser="adam",
    learning_rate=1e-3,
    weight_decay=0.0,
    epochs=15,
)

# Fights on surveillance cameras, by how things move: on recordings that were not trained on, what a frozen image
# network sees told less (docs/experiments.md). No recording is on both sides.
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

# The whole network, from ImageNet. An image network so trained is known to tell about half of HMDB51's clips right.
ACTIONS = dataclasses.replace(
    ACTIONS_PAPER,
    name="actions",
    frames_learning_rate=1e-4,
    flip=0.5,
    dropout=0.3,
    label_smoothing=0.1,
    policy="uniform",
    num_frames=8,
    grouping="hmdb51",
    validation_folds=0,
    batch_size=8,
    optimiser="adamw",
    weight_decay=0.05,
    schedule="cosine",
    warmup_epochs=1,
    epochs=30,
)
