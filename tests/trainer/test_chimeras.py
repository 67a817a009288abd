import colorsys
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from reid.errors import RecipeError
from reid.predictors import Embedder
from reid.transforms import PreprocessConfig
from trainer.chimeras import NOBODY, Chimeras, compose, draw_chimeras
from trainer.distributed import World
from trainer.recipes.reid import DEBUG
from trainer.tasks.reid import ReidTask
from trainer.training_data import read_training_data

_DISTILLED = dataclasses.replace(
    DEBUG, embedding_size=32, chimeras=32, teacher="somewhere", teacher_cosine=1.0, teacher_pairs=1.0, warmup_epochs=0
)


def test_a_chimera_is_one_crop_above_the_cut_and_another_below() -> None:
    crops = torch.arange(3, dtype=torch.uint8)[:, None, None, None].expand(3, 3, 10, 4)
    cuts, undyed = torch.tensor([0.4, 0.5]), torch.eye(3).expand(2, 2, 3, 3)
    composed = compose(crops, Chimeras(torch.tensor([1, 2]), torch.tensor([0, 2]), cuts, undyed))
    assert composed[0, 0, :, 0].tolist() == [1] * 4 + [0] * 6
    assert composed[1].unique().tolist() == [2]
    assert composed.is_contiguous(memory_format=torch.channels_last)


def test_the_draw_is_the_same_for_the_same_seed_and_within_bounds() -> None:
    first, again, other = draw_chimeras(7, 500, 3), draw_chimeras(7, 500, 3), draw_chimeras(7, 500, 4)
    assert torch.equal(first.upper, again.upper)
    assert torch.equal(first.cut, again.cut)
    assert not torch.equal(first.lower, other.lower)
    assert (first.upper.unique().tolist(), first.lower.unique().tolist()) == (list(range(7)), list(range(7)))
    assert 0.35 <= first.cut.min() < 0.37
    assert 0.63 < first.cut.max() <= 0.65


def test_a_dyed_part_keeps_its_greys_and_changes_its_hue() -> None:
    """The hue as the standard library has it: turned by at most 90°, and to either side."""
    chimeras = draw_chimeras(1, 400, 5, dyed=0.5)
    dyed = (chimeras.dyes != torch.eye(3)).flatten(2).any(2)
    assert 0.4 < dyed.float().mean() < 0.6
    red = torch.tensor([160, 60, 40], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 10, 4)
    grey = torch.full((1, 3, 10, 4), 90, dtype=torch.uint8)
    painted, greys = compose(red, chimeras), compose(grey, chimeras)
    for row in range(len(chimeras)):
        for side, place in enumerate((0, -1)):
            pixel, same = painted[row, :, place, 0].tolist(), greys[row, :, place, 0].tolist()
            assert len(set(same)) == 1
            assert 0.69 * 90 < same[0] < 1.31 * 90
            assert (pixel == [160, 60, 40]) is not bool(dyed[row, side])
    hues = torch.tensor([colorsys.rgb_to_hsv(*(pixel / 255))[0] for pixel in painted[:, :, 0, 0].numpy()])
    turned = 360 * ((hues - hues[~dyed[:, 0]][0] + 0.5) % 1 - 0.5)
    assert turned.min() < -60
    assert turned.max() > 60
    assert turned.abs().max() < 110  # HSV's hexagon measures a turn of 90° as up to so much


def test_the_teacher_judges_what_the_student_sees(generated_market: Path, tiny_bundle: Path) -> None:
    """The targets of chimeras are the teacher's vectors of those very pixels, and no class is asked of them."""
    recipe = dataclasses.replace(_DISTILLED, teacher=str(tiny_bundle), dyed=0.5, flip=0.0, pad_px=0)
    task = ReidTask(read_training_data(generated_market).crops, recipe, torch.device("cpu"))
    assert task.steps_per_epoch(0) == (len(task.crops) + 32) // recipe.batch_size
    embedder, agreements = Embedder.load(tiny_bundle), []
    for batch in task.batches(0, World(0, 1)):
        labels, teacher = batch.targets
        for row in torch.where(labels == NOBODY)[0].tolist():
            vector = embedder.embed([_image(batch.inputs[row], task.recipe.preprocess(0))])[0]
            agreements.append(float(teacher[row].numpy() @ vector))
    assert len(agreements) > 16
    assert min(agreements) > 0.99


def test_a_teacher_is_asked_again_only_for_other_crops_or_chimeras(
    generated_market: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = dataclasses.replace(_DISTILLED, teacher=str(tiny_bundle))
    crops = read_training_data(generated_market).crops
    first = ReidTask(crops, recipe, torch.device("cpu"), tmp_path / "features").teacher
    plain = ReidTask(crops, recipe, torch.device("cpu")).teacher
    monkeypatch.setattr("trainer.tasks.reid.teacher_of_pixels", None)  # asked again, it would fail
    again = ReidTask(crops, recipe, torch.device("cpu"), tmp_path / "features").teacher
    assert first is not None
    assert plain is not None
    assert again is not None
    assert torch.equal(first, plain)
    assert torch.equal(first, again)
    for changed in ({"seed": 1}, {"chimeras": 40}, {"dyed": 0.5}, {"sizes": ((0, 32, 16),)}):
        with pytest.raises(TypeError, match="not callable"):
            ReidTask(crops, dataclasses.replace(recipe, **changed), torch.device("cpu"), tmp_path / "features")
    with pytest.raises(TypeError, match="not callable"):
        ReidTask(crops[:-1], recipe, torch.device("cpu"), tmp_path / "features")


def test_nobody_takes_part_in_classification(generated_market: Path, tiny_bundle: Path) -> None:
    recipe = dataclasses.replace(_DISTILLED, teacher=str(tiny_bundle))
    task = ReidTask(read_training_data(generated_market).crops, recipe, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    feature, embedding, logits = (torch.randn(4, width, generator=generator) for width in (32, 32, 8))
    teacher = torch.randn(4, 32, generator=generator)
    labels = torch.tensor([1, NOBODY, 3, NOBODY])
    changed = logits.clone()
    changed[labels == NOBODY] = -changed[labels == NOBODY]
    targets = (labels, teacher)
    assert task.loss((feature, embedding, logits), targets) == task.loss((feature, embedding, changed), targets)
    logits[0, 1] = logits[2, 0] = 100
    assert task.top1_error((feature, embedding, logits), targets) == 0.5
    only_nobody = (torch.full((4,), NOBODY), teacher)
    assert task.loss((feature, embedding, logits), only_nobody).isfinite()
    assert task.top1_error((feature, embedding, logits), only_nobody) == 0


def test_a_teacher_of_another_size_is_refused_where_it_cannot_teach(generated_market: Path, tiny_bundle: Path) -> None:
    crops = read_training_data(generated_market).crops
    recipe = dataclasses.replace(_DISTILLED, teacher=str(tiny_bundle), embedding_size=64)
    with pytest.raises(RecipeError, match="expected a teacher of the embedding's size 64, got one of 32"):
        ReidTask(crops, recipe, torch.device("cpu"))
    ReidTask(crops, dataclasses.replace(recipe, teacher_cosine=0.0), torch.device("cpu"))


@pytest.mark.parametrize(
    "overrides",
    [{"teacher": "", "teacher_cosine": 0.0, "teacher_pairs": 0.0}, {"crops_per_person": 4}, {"centre": 1.0}],
)
def test_chimeras_need_a_teacher_and_shuffled_crops(overrides: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"chimeras: expected 0, or more with a teacher, .*, got 32"):
        dataclasses.replace(_DISTILLED, **overrides)


@pytest.mark.parametrize("overrides", [{"dyed": 1.5}, {"dyed": -0.5}, {"dyed": 0.5, "chimeras": 0}])
def test_a_share_of_chimeras_can_be_dyed_and_nothing_else(overrides: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"dyed: expected 0, or more with chimeras, up to 1, got -?[01]\.5"):
        dataclasses.replace(_DISTILLED, **overrides)


def test_stored_embeddings_cannot_judge_chimeras(generated_market: Path, tmp_path: Path) -> None:
    crops = read_training_data(generated_market).crops
    rows = np.random.default_rng(0).normal(size=(len(crops), 32))
    np.savez(tmp_path / "teacher.npz", path=np.array([crop.path.name for crop in crops]), embedding=rows)
    recipe = dataclasses.replace(_DISTILLED, teacher=str(tmp_path / "teacher.npz"))
    with pytest.raises(RecipeError, match=r"no \.npz for chimeras"):
        ReidTask(crops, recipe, torch.device("cpu"))


def _image(normalised: torch.Tensor, preprocess: PreprocessConfig) -> Image.Image:
    mean, std = (torch.tensor(values)[:, None, None] for values in (preprocess.mean, preprocess.std))
    pixels = ((normalised * std + mean) * 255).round().to(torch.uint8)
    return Image.fromarray(pixels.permute(1, 2, 0).numpy())
