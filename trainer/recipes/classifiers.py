"""Recipes that train an image classifier."""

import dataclasses
from dataclasses import dataclass

from reid.networks.classifier import ARCHITECTURES, ClassifierArguments
from reid.transforms import IMAGENET_MEAN, IMAGENET_STD, PreprocessConfig
from trainer.recipes.expectations import Expectation, above, at_least, one_of, share
from trainer.recipes.split import SplitRecipe


@dataclass(frozen=True)
class ClassifierRecipe(SplitRecipe):
    """One way to train a classifier. Every augmentation is a strength, and 0 switches it off."""

    # network
    architecture: str = "mobilenet_v3_large"
    width: float = 1.0
    dropout: float = 0.2
    sigmoid: bool = False  # outputs in (0, 1), taken for logits: the sunglasses paper's own, with its floor of 0.313
    # images
    height_px: int = 224
    width_px: int = 224
    grey: bool = False
    label_smoothing: float = 0.0
    # augmentation
    flip: float = 0.0  # probability
    rotation: float = 0.0  # up to so many degrees either way
    scale: float = 0.0  # up to so much larger or smaller, as a share
    translation: float = 0.0  # up to this share of a side
    crop: float = 0.0  # up to this share of a side cut off, at a random place
    noise: float = 0.0  # standard deviation, pixels in [0, 1]
    colour: float = 0.0  # each channel times 1 ± up to this
    contrast: float = 0.0  # 1 ± up to this about the image's mean
    sharpness: float = 0.0  # 1 ± up to this about the blurred image

    def expectations(self) -> dict[str, Expectation]:
        """The split's, and those of network, images and augmentation."""
        shares = ("scale", "translation", "crop", "colour", "contrast")
        return (
            super().expectations()
            | {
                "architecture": one_of(self.architecture, ARCHITECTURES),
                "width": above(self.width, 0),
                "dropout": share(self.dropout, of_all=False),
                "height_px": at_least(self.height_px, 1),
                "width_px": at_least(self.width_px, 1),
                "label_smoothing": share(self.label_smoothing, of_all=False),
                "flip": share(self.flip),
                "rotation": Expectation(0 <= self.rotation <= 180, "0 to 180 degrees"),
                "noise": at_least(self.noise, 0),
                "sharpness": at_least(self.sharpness, 0),
            }
            | {name: share(getattr(self, name), of_all=False) for name in shares}
        )

    def network(self, num_labels: int) -> ClassifierArguments:
        """The network's arguments, as the bundle stores them."""
        return ClassifierArguments(self.architecture, num_labels, self.width, self.dropout, self.sigmoid)

    @property
    def preprocess(self) -> PreprocessConfig:
        """Grey as [0, 1]; RGB as ImageNet's statistics make it. Nothing is mirrored: a mirrored sign is another."""
        mean, std = ((0.0,), (1.0,)) if self.grey else (IMAGENET_MEAN, IMAGENET_STD)
        return PreprocessConfig(self.height_px, self.width_px, "bilinear", mean, std, flip_average=False)


# The hand-sign paper's settings: 85 / 10 / 5 %.
HAND_SIGNS_PAPER = ClassifierRecipe(
    name="hand-signs-paper",
    folds=20,
    validation_folds=2,
    batch_size=50,
    optimiser="adam",
    learning_rate=5e-5,
    weight_decay=0.0,
    epochs=100,
)

# The same network from random weights: smaller images, a rate that reaches an end, and what a hand may do.
HAND_SIGNS = dataclasses.replace(
    HAND_SIGNS_PAPER,
    name="hand-signs",
    height_px=96,
    width_px=96,
    optimiser="adamw",
    learning_rate=2e-3,
    weight_decay=0.05,
    epochs=30,
    schedule="cosine",
    warmup_epochs=2,
    label_smoothing=0.1,
    average_decay=0.99,
    rotation=15.0,
    scale=0.15,
    translation=0.1,
    noise=0.02,
    colour=0.2,
    contrast=0.3,
)

# The sunglasses paper's settings; 80 / 20 %, no image of a person on both sides.
SUNGLASSES_PAPER = ClassifierRecipe(
    name="sunglasses-paper",
    architecture="conv_nn_1",
    dropout=0.0,
    sigmoid=True,
    height_px=30,
    width_px=32,
    grey=True,
    batch_size=1,
    optimiser="adam",
    learning_rate=0.002,
    weight_decay=0.0,
    epochs=40,
)

# The same network with logits, which cross-entropy wants, and with what keeps it from learning a dozen faces by heart:
# long, strongly moved and lit, averaged.
SUNGLASSES = dataclasses.replace(
    SUNGLASSES_PAPER,
    name="sunglasses",
    sigmoid=False,
    dropout=0.5,
    label_smoothing=0.1,
    batch_size=32,
    optimiser="adamw",
    learning_rate=3e-3,
    weight_decay=0.05,
    average_decay=0.99,
    schedule="cosine",
    epochs=800,
    flip=0.5,
    rotation=12.0,
    translation=0.12,
    scale=0.18,
    colour=0.4,
    contrast=0.4,
    noise=0.03,
)
