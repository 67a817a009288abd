"""Random changes to a batch of crops, each crop its own: mirrored, shifted, partly erased."""

import torch
import torch.nn.functional as F

from trainer.recipes.reid import ReidRecipe

_ERASED_AREA = (0.02, 0.4)
_ERASED_ASPECT = 0.3


def augment(pixels: torch.Tensor, recipe: ReidRecipe, generator: torch.Generator) -> torch.Tensor:
    """(B, 3, H, W) uint8 → the same shape and type: flip, pad and crop, random erasing as the recipe says.

    Padding and erased areas are black, before normalisation, as in the field's common code for padding.
    """
    pixels = _flip(pixels, recipe.flip, generator)
    if recipe.pad_px:
        pixels = _shift(pixels, recipe.pad_px, generator)
    if recipe.erasing:
        pixels = _erase(pixels, recipe.erasing, generator)
    return pixels


def _flip(pixels: torch.Tensor, probability: float, generator: torch.Generator) -> torch.Tensor:
    mirrored = torch.rand(len(pixels), generator=generator) < probability
    return torch.where(mirrored[:, None, None, None], pixels.flip(3), pixels)


def _shift(pixels: torch.Tensor, pad_px: int, generator: torch.Generator) -> torch.Tensor:
    """Pad all sides with black and cut the original size out at a random place: one gather for the batch."""
    batch, _, height, width = pixels.shape
    padded = F.pad(pixels, (pad_px,) * 4).permute(0, 2, 3, 1)
    top, left = torch.randint(0, 2 * pad_px + 1, (2, batch, 1), generator=generator)
    rows = top + torch.arange(height)
    columns = left + torch.arange(width)
    which = torch.arange(batch)[:, None, None]
    return padded[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _erase(pixels: torch.Tensor, probability: float, generator: torch.Generator) -> torch.Tensor:
    """Blacken a random rectangle in a share of the crops (Zhong et al. 2020): 2–40 % of the area, aspect 0.3–3.3."""
    batch, _, height, width = pixels.shape
    draw = torch.rand(5, batch, generator=generator)
    area = (_ERASED_AREA[0] + (_ERASED_AREA[1] - _ERASED_AREA[0]) * draw[0]) * height * width
    aspect = _ERASED_ASPECT ** (2 * draw[1] - 1)
    tall = (area * aspect).sqrt().clamp(max=height)
    wide = (area / aspect).sqrt().clamp(max=width)
    inside_rows = _span(height, tall, draw[2])
    inside_columns = _span(width, wide, draw[3])
    chosen = (draw[4] < probability)[:, None, None]
    erased = chosen & inside_rows[:, :, None] & inside_columns[:, None, :]
    return pixels.masked_fill(erased[:, None], 0)


def _span(size: int, length: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """(B, size) bool: positions inside a span of `length` that starts at the share `place` of what is left."""
    start = (place * (size - length))[:, None]
    positions = torch.arange(size)
    return (positions >= start) & (positions < start + length[:, None])
