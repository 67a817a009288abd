import dataclasses
import json

import pytest
import torch

from reid.errors import RecipeError
from trainer.recipes.catalogue import RECIPES, recipe_named
from trainer.recipes.fields import recipe_from_json
from trainer.recipes.reid import BASELINE, PAPER, STRONG, ReidRecipe
from trainer.schedules import bounces_ended, learning_rate_factor


def rates(recipe: ReidRecipe) -> list[float]:
    """The learning rate at the start of every epoch."""
    return [recipe.learning_rate * learning_rate_factor(recipe, epoch) for epoch in range(recipe.epochs)]


def test_baseline_is_the_studys_code() -> None:
    assert (BASELINE.backbone, BASELINE.last_stride, BASELINE.head) == ("resnet50", 2, "linear")
    assert (BASELINE.embedding_size, BASELINE.dropout, BASELINE.classifier_bias) == (512, 0.5, True)
    assert (BASELINE.optimiser, BASELINE.weight_decay, BASELINE.backbone_learning_rate) == ("sgd", 5e-4, 0.1)
    assert (BASELINE.label_smoothing, BASELINE.erasing, BASELINE.flip, BASELINE.pad_px) == (0, 0, 0.5, 10)
    assert BASELINE.sizes == ((0, 256, 128),)
    assert BASELINE.preprocess(0).interpolation == "bicubic"
    assert rates(BASELINE) == pytest.approx([0.05] * 40 + [0.005] * 20)


def test_paper_is_the_studys_text() -> None:
    assert (PAPER.learning_rate, PAPER.batch_size, PAPER.gamma, PAPER.epochs) == (0.09, 16, 0.01, 60)
    assert rates(PAPER) == pytest.approx([0.09] * 40 + [0.0009] * 20)
    assert dataclasses.replace(PAPER, name="baseline", learning_rate=0.05, batch_size=32, gamma=0.1) == BASELINE


def test_strong_is_the_bag_of_tricks() -> None:
    assert (STRONG.backbone, STRONG.last_stride, STRONG.head) == ("resnet50", 1, "bnneck")
    assert (STRONG.embedding_size, STRONG.classifier_bias, STRONG.dropout) == (2048, False, 0)
    assert (STRONG.batch_size, STRONG.crops_per_person) == (16 * 4, 4)
    assert (STRONG.optimiser, STRONG.weight_decay, STRONG.epochs) == ("adam", 5e-4, 120)
    assert (STRONG.erasing, STRONG.label_smoothing, STRONG.triplet_margin) == (0.5, 0.1, 0.3)
    strong = rates(STRONG)
    assert strong[0] == pytest.approx(3.5e-4 * 0.01)
    assert strong[5] == pytest.approx(3.5e-4 * (0.01 + 0.99 / 2))
    assert strong[10:] == pytest.approx([3.5e-4] * 30 + [3.5e-5] * 30 + [3.5e-6] * 50)


def test_a_step_schedule_is_torchs_own() -> None:
    recipe = dataclasses.replace(BASELINE, milestones=(3, 7), gamma=0.3, epochs=10)
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([parameter], lr=recipe.learning_rate)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimiser, [3, 7], gamma=0.3)
    expected = []
    for _ in range(10):
        expected.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    assert rates(recipe) == pytest.approx(expected)


def test_a_cosine_falls_from_the_end_of_warm_up_to_zero() -> None:
    recipe = dataclasses.replace(BASELINE, schedule="cosine", warmup_epochs=2, epochs=10, learning_rate=1.0)
    falling = rates(recipe)[2:]
    assert falling[0] == pytest.approx(1.0)
    assert falling[4] == pytest.approx(0.5)
    assert falling == sorted(falling, reverse=True)
    assert learning_rate_factor(recipe, 9.99) < 1e-4


def test_the_rate_falls_each_time_the_weight_norm_stops_bouncing() -> None:
    recipe = dataclasses.replace(BASELINE, schedule="bouncing", gamma=0.1)
    falling, bounced, ended = [5.0, 4.0, 3.0], [5.0, 4.0, 3.0, 3.5, 4.0], [5.0, 4.0, 3.0, 3.5, 4.0, 3.9]
    runs = (falling, bounced, ended, [*ended, 3.0, 3.2, 3.1])
    assert [learning_rate_factor(recipe, len(norms), norms) for norms in runs] == pytest.approx([1, 1, 0.1, 0.01])
    assert bounces_ended([1.0, 2.0, 1.0]) == 0  # it rose from the start: that was no bounce


def test_single_fields_are_overridden_by_text() -> None:
    recipe = recipe_named(
        "strong", {"epochs": "3", "milestones": "[1, 2]", "learning_rate": "1", "teacher": "file.npz"}
    )
    assert (recipe.epochs, recipe.milestones, recipe.learning_rate) == (3, (1, 2), 1.0)
    assert recipe.teacher == "file.npz"
    assert dataclasses.replace(recipe, epochs=120, milestones=(40, 70), learning_rate=3.5e-4, teacher="") == STRONG


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_survives_json(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe_from_json(type(recipe), json.loads(json.dumps(dataclasses.asdict(recipe)))) == recipe


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"epoch": "3"}, r"unknown recipe fields \['epoch'\]"),
        ({"epochs": "three"}, "epochs: expected a JSON value, got 'three'"),
        ({"epochs": "1.5"}, "epochs: expected int, got 1.5"),
        ({"epochs": "true"}, "epochs: expected int, got True"),
        ({"classifier_bias": "1"}, "classifier_bias: expected bool, got 1"),
        ({"epochs": "0"}, "epochs: expected a number of at least 1, got 0"),
        ({"optimiser": "lamb"}, r"optimiser: expected one of \['sgd', 'adam', 'adamw'\], got 'lamb'"),
        ({"milestones": "5"}, r"milestones: expected \[int, …\], got 5"),
        ({"sizes": "[[0, 128]]"}, r"sizes: expected \[\[int, int, int\], …\], got"),
        (
            {"sizes": "[]"},
            r"sizes: expected \(epoch, height, width\) whose epochs rise from 0 .*, got \(\)",
        ),
        ({"crops_per_person": "5"}, "crops_per_person: expected 0 or a divisor of batch_size 64, got 5"),
        ({"teacher_cosine": "1"}, "teacher: expected a file or folder for teacher_cosine and teacher_pairs, got ''"),
        ({"learning_rate": "-1"}, "learning_rate: expected a number of more than 0, got -1.0"),
        ({"learning_rate": "NaN"}, "learning_rate: expected a number of more than 0, got nan"),
        (
            {"sizes": "[[0, 256, 128], [120, 64, 32]]"},
            "sizes: expected .* begin before epoch 120, the end",
        ),
        ({"sizes": "[[0, 256, 0]]"}, "sizes: expected"),
        ({"triplet": "1", "crops_per_person": "0"}, "triplet: expected 0, or more with crops_per_person of at least 2"),
        ({"patience": "3"}, "patience: expected 0, or more with hold_out_crops or validation_folds, .*, got 3"),
        ({"erasing": "5", "flip": "-3"}, "flip: expected 0 to 1, got -3.0; erasing: expected 0 to 1, got 5.0"),
        ({"dropout": "1"}, "dropout: expected 0 to less than 1, got 1.0"),
        ({"learning_rate": "Infinity"}, "learning_rate: expected a number of more than 0, got inf"),
        ({"seed": "-1"}, "seed: expected a number of at least 0, got -1"),
        ({"circle_scale": "-3"}, "circle_scale: expected a number of at least 0, got -3.0"),
        ({"pad_px": "-4"}, "pad_px: expected a number of at least 0, got -4"),
        ({"weight_decay": "-1"}, "weight_decay: expected a number of at least 0, got -1.0"),
        ({"warmup_epochs": "-1"}, "warmup_epochs: expected a number of at least 0, got -1"),
        ({"backbone": "foo"}, r"backbone: expected one of \['resnet18', .*, got 'foo'"),
        ({"batch_growth": "[[3, 0]]"}, "batch_growth: expected pairs of an epoch and a factor of at least 1"),
        ({"teacher_cosine": "-1"}, "teacher_cosine: expected a number of at least 0, got -1.0"),
    ],
)
def test_overrides_that_do_not_fit_are_named(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe_named("strong", overrides)


def test_a_recipe_that_does_not_exist_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"expected a recipe of .*'baseline'.*, got 'base'"):
        recipe_named("base")
    with pytest.raises(RecipeError, match="unknown recipe fields \\['gama'\\]"):
        recipe_from_json(ReidRecipe, dataclasses.asdict(BASELINE) | {"gama": 1})
