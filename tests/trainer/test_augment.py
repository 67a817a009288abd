import dataclasses

import torch

from trainer.augment import augment
from trainer.recipes.reid import DEBUG

PLAIN = dataclasses.replace(DEBUG, flip=0.0, pad_px=0, erasing=0.0)


def batch(seed: int = 0) -> torch.Tensor:
    """Eight 16 × 8 crops without a black pixel."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, 256, (8, 3, 16, 8), generator=generator, dtype=torch.uint8)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_same_generator_gives_the_same_crops() -> None:
    recipe = dataclasses.replace(PLAIN, flip=0.5, pad_px=3, erasing=0.5)
    first = augment(batch(), recipe, generator(1))
    assert torch.equal(first, augment(batch(), recipe, generator(1)))
    assert not torch.equal(first, augment(batch(), recipe, generator(2)))
    assert (first.shape, first.dtype) == (batch().shape, torch.uint8)


def test_nothing_asked_changes_nothing() -> None:
    assert torch.equal(augment(batch(), PLAIN, generator()), batch())


def test_flip_mirrors_whole_crops() -> None:
    pixels = batch()
    assert torch.equal(augment(pixels, dataclasses.replace(PLAIN, flip=1.0), generator()), pixels.flip(3))
    half = augment(pixels, dataclasses.replace(PLAIN, flip=0.5), generator())
    mirrored = [torch.equal(half[i], pixels[i].flip(2)) for i in range(8)]
    untouched = [torch.equal(half[i], pixels[i]) for i in range(8)]
    assert [a or b for a, b in zip(mirrored, untouched, strict=True)] == [True] * 8
    assert 0 < sum(mirrored) < 8


def test_shift_cuts_a_window_of_the_padded_crop() -> None:
    pixels, pad = batch(), 2
    shifted = augment(pixels, dataclasses.replace(PLAIN, pad_px=pad), generator())
    padded = torch.nn.functional.pad(pixels, (pad,) * 4)
    for before, after in zip(padded, shifted, strict=True):
        windows = [before[:, top : top + 16, left : left + 8] for top in range(5) for left in range(5)]
        assert any(torch.equal(after, window) for window in windows)


def test_erasing_blackens_one_rectangle_of_the_stated_area() -> None:
    erased = augment(batch(), dataclasses.replace(PLAIN, erasing=1.0), generator())
    for before, after in zip(batch(), erased, strict=True):
        black = (after == 0).all(0)
        rows, columns = black.any(1), black.any(0)
        assert torch.equal(black, rows[:, None] & columns)
        assert 0 < black.float().mean() < 0.55  # 2–40 % before rounding outwards to whole pixels
        assert torch.equal(after[:, ~black], before[:, ~black])
