"""Complete, named, frozen recipes: everything a run depends on besides its data.

A flag overrides single fields (`--set epochs=5`); the effective recipe is saved beside the run.
"""

import dataclasses
import json
import typing
from dataclasses import dataclass
from typing import Any

from reid.errors import RecipeError
from reid.networks.embedding import EmbeddingArguments
from reid.transforms import PreprocessConfig


@dataclass(frozen=True)
class Recipe:
    """One way to train an embedding. Sizes in px, times in epochs; a weight of 0 switches its loss off."""

    name: str
    # network
    backbone: str = "resnet50"
    last_stride: int = 2
    head: str = "linear"
    embedding_size: int = 512
    dropout: float = 0.0
    classifier_bias: bool = False
    initial_weights: str = "none"  # `none`, `imagenet`, `timm:NAME`, a .pth file, or a bundle folder
    # crops: (first epoch, height, width), rising; the last size is the bundle's
    sizes: tuple[tuple[int, int, int], ...] = ((0, 256, 128),)
    flip: float = 0.5
    pad_px: int = 10
    erasing: float = 0.0
    # batches: P people × K crops each, or shuffled crops when crops_per_person is 0
    batch_size: int = 32
    crops_per_person: int = 0
    batch_growth: tuple[tuple[int, int], ...] = ()  # (epoch, factor): from that epoch, batches larger by the factor
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
    # optimiser
    optimiser: str = "sgd"
    learning_rate: float = 0.05
    backbone_learning_rate: float = 1.0  # as a share of learning_rate
    weight_decay: float = 5e-4
    max_gradient_norm: float = 0.0  # gradients are scaled down to this norm; 0 leaves them
    average_decay: float = 0.0  # of an exponential moving average of the weights, which is what counts then; 0: none
    epochs: int = 60
    schedule: str = "step"  # `step` (milestones, gamma), `cosine` (to zero) or `bouncing` (gamma at each bounce's end)
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    warmup_epochs: int = 0
    warmup_factor: float = 0.01
    seed: int = 0
    people: int = 0  # train on so many people only, the first by number; 0: on all
    hold_out_people: int = 0  # training people kept back, to watch Rank-1 and mAP
    hold_out_crops: int = 0  # crops of every other person kept back, to watch loss and top-1 error

    def __post_init__(self) -> None:
        """Raise :class:`RecipeError` on values that cannot train."""
        expectations = {
            "epochs": self.epochs >= 1,
            "batch_size": self.batch_size >= 2,
            "learning_rate": self.learning_rate > 0,
            "optimiser": self.optimiser in ("sgd", "adam", "adamw"),
            "schedule": self.schedule in ("step", "cosine", "bouncing"),
            "sizes": bool(self.sizes) and self.sizes[0][0] == 0 and list(self.sizes) == sorted(self.sizes),
            "crops_per_person": not self.crops_per_person or self.batch_size % self.crops_per_person == 0,
            "triplet": self.triplet == 0 or self.crops_per_person >= 2,
            "circle": self.circle == 0 or self.crops_per_person >= 2,
            "teacher": bool(self.teacher) or not (self.teacher_cosine or self.teacher_pairs),
            "chimeras": self.chimeras == 0 or self._distils_shuffled_crops,
            "people": self.people == 0 or self.people >= 2,
            "hold_out_people": self.hold_out_people >= 0,
            "hold_out_crops": self.hold_out_crops >= 0,
            "max_gradient_norm": self.max_gradient_norm >= 0,
            "average_decay": 0 <= self.average_decay < 1,
            "batch_growth": all(factor >= 1 for _, factor in self.batch_growth),
        }
        if wrong := [field for field, fits in expectations.items() if not fits]:
            raise RecipeError("; ".join(f"{field} does not fit: {getattr(self, field)!r}" for field in wrong))

    @property
    def _distils_shuffled_crops(self) -> bool:
        return self.chimeras > 0 and bool(self.teacher) and not self.crops_per_person and not self.centre

    @property
    def network(self) -> EmbeddingArguments:
        """The network's arguments, as the bundle stores them."""
        return EmbeddingArguments(self.backbone, self.last_stride, self.head, self.embedding_size)

    def preprocess(self, epoch: int) -> PreprocessConfig:
        """The crop size in force at an epoch (from 0)."""
        _, height, width = [size for size in self.sizes if size[0] <= epoch][-1]
        return PreprocessConfig(height_px=height, width_px=width)


# The learning-rate study's code, as measured facts about it: the new head learns at 10 × the backbone's rate.
BASELINE = Recipe(
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
STRONG = Recipe(
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
DEBUG = Recipe(
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
LIGHT = Recipe(
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

RECIPES = {recipe.name: recipe for recipe in (BASELINE, PAPER, STRONG, DEBUG, LIGHT)}


def recipe_named(name: str, overrides: dict[str, str] | None = None) -> Recipe:
    """A recipe with single fields overridden by text, such as `{"epochs": "5", "milestones": "[3]"}`.

    Raises :class:`RecipeError` for a recipe, a field or a value that does not exist.
    """
    if name not in RECIPES:
        raise RecipeError(f"expected a recipe of {sorted(RECIPES)}, got {name!r}")
    return recipe_with(RECIPES[name], _parsed(overrides or {}))


def recipe_with(recipe: Recipe, overrides: dict[str, Any]) -> Recipe:
    """`recipe` with some fields replaced, lists read as tuples. Raises :class:`RecipeError` on unknown fields."""
    return recipe_from_json(dataclasses.asdict(recipe) | overrides)


def recipe_from_json(raw: dict[str, Any]) -> Recipe:
    """The recipe that `dataclasses.asdict` and JSON wrote.

    Raises :class:`RecipeError` on unknown fields, values of another type, and values that cannot train.
    """
    if unknown := raw.keys() - _TYPES.keys():
        raise RecipeError(f"unknown recipe fields {sorted(unknown)}; the fields are {sorted(_TYPES)}")
    return Recipe(**{field: _checked(field, value) for field, value in raw.items()})


_TYPES = typing.get_type_hints(Recipe)


def _parsed(overrides: dict[str, str]) -> dict[str, Any]:
    """Text from the command line as values: JSON, except where the field is text itself."""
    return {field: text if _TYPES.get(field) is str else _from_text(field, text) for field, text in overrides.items()}


def _from_text(field: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise RecipeError(f"{field}: expected a JSON value, got {text!r}") from error


def _checked(field: str, value: Any) -> Any:
    value, kind = _as_tuples(value), _TYPES[field]
    if kind is float and type(value) is int:
        value = float(value)
    if not _is_of(kind, value):
        raise RecipeError(f"{field}: expected {_form(kind)}, got {value!r}")
    return value


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(item) for item in value) if isinstance(value, list | tuple) else value


def _is_of(kind: Any, value: Any) -> bool:
    """Whether `value` is of a field's type: a plain one, or tuples of them of the right length."""
    if typing.get_origin(kind) is not tuple:
        return type(value) is kind
    inner = typing.get_args(kind)
    if not isinstance(value, tuple):
        return False
    if inner[-1] is Ellipsis:
        return all(_is_of(inner[0], item) for item in value)
    return len(value) == len(inner) and all(_is_of(*pair) for pair in zip(inner, value, strict=True))


def _form(kind: Any) -> str:
    """A type as JSON shows it: `int`, `[int, …]`, `[[int, int], …]`."""
    if typing.get_origin(kind) is not tuple:
        return str(kind.__name__)
    return "[" + ", ".join("…" if item is Ellipsis else _form(item) for item in typing.get_args(kind)) + "]"
