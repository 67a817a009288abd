import dataclasses

import pytest
import torch

from trainer.class_augment import augment_images
from trainer.recipes.classifiers import HAND_SIGNS_PAPER

STRENGTHS = {
    "flip": 1.0,
    "rotation": 45.0,
    "scale": 0.3,
    "translation": 0.3,
    "crop": 0.3,
    "noise": 0.1,
    "colour": 0.3,
    "contrast": 0.5,
    "sharpness": 0.9,
}


def pixels(height: int = 12, width: int = 16) -> torch.Tensor:
    return torch.randint(0, 256, (6, 3, height, width), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def changed(images: torch.Tensor, seed: int = 0, **strengths: float) -> torch.Tensor:
    recipe = dataclasses.replace(HAND_SIGNS_PAPER, **strengths)
    return augment_images(images, recipe, torch.Generator().manual_seed(seed))


def test_without_strength_nothing_changes() -> None:
    assert torch.equal(changed(pixels()), pixels().float())


@pytest.mark.parametrize("name", sorted(STRENGTHS))
def test_each_of_the_nine_changes_each_image_its_own_way(name: str) -> None:
    same = pixels()[:1].expand(6, -1, -1, -1)
    result = changed(same, **{name: STRENGTHS[name]})
    assert result.shape == same.shape
    assert result.min() >= 0
    assert result.max() <= 255
    assert not torch.equal(result[0], same[0].float())
    if name != "flip":  # here it mirrors all of them
        assert not torch.equal(result[0], result[1])
    assert torch.equal(result, changed(same, **{name: STRENGTHS[name]}))
    assert torch.equal(result, changed(same, seed=1, **{name: STRENGTHS[name]})) == (name == "flip")


def test_a_flip_is_a_mirror() -> None:
    assert torch.allclose(changed(pixels(), flip=1.0), pixels().flip(3).float(), atol=1e-3)


def test_a_quarter_turn_keeps_distances_in_an_image_that_is_not_square() -> None:
    """A disc stays a disc: turned in normalised coordinates it would become an ellipse."""
    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(80.0), indexing="ij")
    disc = (255 * (((rows - 19.5) ** 2 + (columns - 39.5) ** 2) < 12**2)).to(torch.uint8).expand(8, 3, 40, 80)
    turned = changed(disc, rotation=90.0)
    assert (turned - disc.float()).abs().mean() < 5


def test_contrast_and_sharpness_keep_the_mean() -> None:
    grey = pixels() // 4 + 96
    for name in ("contrast", "sharpness"):
        result = changed(grey, **{name: 0.5})
        assert torch.allclose(result.mean(dim=(1, 2, 3)), grey.float().mean(dim=(1, 2, 3)), atol=3)
