"""Recipes that train an embedding on labelled people."""

import dataclasses
from dataclasses import dataclass

from reid.networks.embedding import BACKBONES, HEADS, EmbeddingArguments
from reid.transforms import PreprocessConfig
from trainer.recipes.expectations import Expectation, at_least, one_of, only_with, share
from trainer.recipes.run import RunRecipe

_NOT_NEGATIVE = (
    "cross_entropy",
    "triplet_margin",
    "circle_margin",
    "circle_scale",
    "centre",
    "teacher_cosine",
    "teacher_pairs",
    "backbone_learning_rate",
    "hold_out_people",
    "hold_out_crops",
)


@dataclass(frozen=True)
class ReidRecipe(RunRecipe):
    """One way to train an embedding. Sizes in px, times in epochs; a weight of 0 switches its loss off."""

    # network
    backbone: str = "resnet50"
    last_stride: int = 2
    head: str = "linear"
    embedding_size: int = 512
    dropout: float = 0.0
    classifier_bias: bool = False
    initial_weights: str = "none"  # `none`, `imagenet`, `timm:NAME`, a .pth file, a bundle folder, or `grown:` and one
    # crops: (first epoch, height, width), rising; the last size is the bundle's
    sizes: tuple[tuple[int, int, int], ...] = ((0, 256, 128),)
    flip: float = 0.5
    pad_px: int = 10
    erasing: float = 0.0
    # batches: P people × K crops each, or shuffled crops when crops_per_person is 0
    crops_per_person: int = 0
    # losses
    cross_entropy: float = 1.0
    label_smoothing: float = 0.0
    triplet: float = 0.0
    triplet_margin: float = 0.3
    circle: float = 0.0
    circle_margin: float = 0.25
    circle_scale: float = 128.0
    centre: float = 0.0
    teacher: str = ""  # a bundle folder, embeddings of the crops (.npz of `embed`), or a network (.onnx, .xml)
    teacher_cosine: float = 0.0
    teacher_pairs: float = 0.0
    chimeras: int = 0  # crops put together from two people's, added to the others for the teacher's losses alone
    dyed: float = 0.0  # the share of the chimeras' parts whose colours are changed
    # optimiser: besides the run's
    backbone_learning_rate: float = 1.0  # as a share of learning_rate
    people: int = 0  # train on so many people only, the first by number; 0: on all
    test_people: int = 0  # judge the bundle on so many test people alone, the first by number; 0: on the whole test
    hold_out_people: int = 0  # training people kept back, the first by number, to watch Rank-1 and mAP
    hold_out_crops: int = 0  # crops of every other person kept back, to watch loss and top-1 error

    def expectations(self) -> dict[str, Expectation]:
        """The run's, and those of network, people, crops and losses."""
        several = self.crops_per_person >= 2
        shuffles = bool(self.teacher) and not self.crops_per_person and not self.centre
        return (
            super().expectations()
            | {
                "backbone": one_of(self.backbone, BACKBONES),
                "last_stride": one_of(self.last_stride, (1, 2)),
                "head": one_of(self.head, HEADS),
                "embedding_size": at_least(self.embedding_size, 1),
                "dropout": share(self.dropout, of_all=False),
                "batch_size": at_least(self.batch_size, 2),
                "sizes": self._sizes_in_order(),
                "flip": share(self.flip),
                "pad_px": at_least(self.pad_px, 0),
                "erasing": share(self.erasing),
                "crops_per_person": Expectation(
                    self.crops_per_person == 0
                    or (self.crops_per_person > 0 and self.batch_size % self.crops_per_person == 0),
                    f"0 or a divisor of batch_size {self.batch_size}",
                ),
                "label_smoothing": share(self.label_smoothing, of_all=False),
                "triplet": only_with(self.triplet, several, "crops_per_person of at least 2"),
                "circle": only_with(self.circle, several, "crops_per_person of at least 2"),
                "teacher": Expectation(
                    bool(self.teacher) or not (self.teacher_cosine or self.teacher_pairs),
                    "a file or folder for teacher_cosine and teacher_pairs",
                ),
                "chimeras": only_with(self.chimeras, shuffles, "a teacher, and without crops_per_person and centre"),
                "dyed": only_with(self.dyed, self.chimeras > 0 and self.dyed <= 1, "chimeras, up to 1"),
                "people": Expectation(self.people == 0 or self.people >= 2, "0 or at least 2"),
                "test_people": Expectation(self.test_people == 0 or self.test_people >= 2, "0 or at least 2"),
            }
            | {name: at_least(getattr(self, name), 0) for name in _NOT_NEGATIVE}
        )

    def _sizes_in_order(self) -> Expectation:
        starts = [start for start, *_ in self.sizes]
        return Expectation(
            starts[:1] == [0]
            and starts == sorted(set(starts))
            and starts[-1] < self.epochs
            and all(min(sides) >= 1 for _, *sides in self.sizes),
            "(epoch, height, width) whose epochs rise from 0 and "
            f"begin before epoch {self.epochs}, the end (set sizes beside epochs)",
        )

    @property
    def watches_loss(self) -> bool:
        """With crops held out."""
        return self.hold_out_crops > 0

    @property
    def network(self) -> EmbeddingArguments:
        """The network's arguments, as the bundle stores them."""
        return EmbeddingArguments(self.backbone, self.last_stride, self.head, self.embedding_size)

    def preprocess(self, epoch: int) -> PreprocessConfig:
        """The crop size in force at an epoch (from 0)."""
        _, height, width = [size for size in self.sizes if size[0] <= epoch][-1]
        return PreprocessConfig(height_px=height, width_px=width)


# The learning-rate study's code, as measured facts about it: the new head learns at 10 × the backbone's rate.
BASELINE = ReidRecipe(
    name="baseline",
    dropout=0.5,
    classifier_bias=True,
    initial_weights="imagenet",
    learning_rate=0.05,
    backbone_learning_rate=0.1,
    milestones=(40,),
)

# What the study's text reports as its optimum: lr 0.09, batch 16, the rate cut to 0.01 of itself after epoch 40.
PAPER = dataclasses.replace(BASELINE, name="paper", learning_rate=0.09, batch_size=16, gamma=0.01)

# "Bag of Tricks and a Strong Baseline for Deep Person Re-identification", Luo et al. 2019.
STRONG = ReidRecipe(
    name="strong",
    last_stride=1,
    head="bnneck",
    embedding_size=2048,
    initial_weights="imagenet",
    erasing=0.5,
    batch_size=64,
    crops_per_person=4,
    label_smoothing=0.1,
    triplet=1.0,
    optimiser="adam",
    learning_rate=3.5e-4,
    epochs=120,
    milestones=(40, 70),
    warmup_epochs=10,
)

# A run on generated people that ends within a minute on a processor.
DEBUG = ReidRecipe(
    name="debug",
    backbone="resnet18",
    last_stride=1,
    embedding_size=64,
    sizes=((0, 64, 32),),
    pad_px=4,
    batch_size=16,
    optimiser="adamw",
    learning_rate=1e-3,
    epochs=6,
    schedule="cosine",
    warmup_epochs=1,
)

# The light bundle that ships: a small ResNet that learns a teacher's geometry beside the identities, first on
# crops of Market-1501's own size, then on larger ones.
LIGHT = ReidRecipe(
    name="light",
    backbone="resnet18",
    last_stride=1,
    embedding_size=256,
    sizes=((0, 128, 64), (30, 192, 96)),
    erasing=0.3,
    batch_size=64,
    label_smoothing=0.1,
    teacher="required: --set teacher=FILE",
    teacher_cosine=8.0,
    teacher_pairs=50.0,
    optimiser="adamw",
    learning_rate=1e-3,
    weight_decay=0.05,
    epochs=42,
    schedule="cosine",
    warmup_epochs=2,
)
