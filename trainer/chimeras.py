"""Crops of nobody: one person's upper part over another's lower part, for a teacher alone to judge."""

import math
from dataclasses import dataclass

import torch

NOBODY = -1
"""The label of a chimera: it belongs to no class."""
_HIGHEST_CUT = 0.35
_LOWEST_CUT = 0.65
_HUE_RAD = (-math.pi / 2, math.pi / 2)
_SATURATION = (0.6, 1.4)
_BRIGHTNESS = (0.7, 1.3)
_CHUNK = 512  # at 256 × 128 px 200 MB in float32, which dyeing wants


@dataclass(frozen=True)
class Chimeras:
    """N pairs of crops by position, (N,) int64 each, the share of the height at which they meet, (N,) float32, and by
    what the colours of either part are multiplied, (N, 2, 3, 3) float32.

    Few people wear few clothes: a student that sees only them learns their wardrobe, not what its teacher looks at.
    N people can be recombined into N² whom the teacher has an opinion of ("Knowledge distillation: a good teacher is
    patient and consistent", Beyer et al. 2022, make such inputs by mixup; a cut keeps cloth and colour true), and dyed
    into more: what a student knows of colours that nobody wore in training it has from chimeras alone.
    """

    upper: torch.Tensor
    lower: torch.Tensor
    cut: torch.Tensor
    dyes: torch.Tensor

    def __len__(self) -> int:
        """How many there are."""
        return len(self.cut)


def draw_chimeras(num_crops: int, count: int, seed: int, dyed: float = 0.0) -> Chimeras:
    """`count` random pairs among `num_crops` crops, cut at 35–65 % of the height; `dyed` is the share of parts dyed."""
    generator = torch.Generator().manual_seed(seed)
    upper, lower = torch.randint(num_crops, (2, count), generator=generator)
    cut = _HIGHEST_CUT + (_LOWEST_CUT - _HIGHEST_CUT) * torch.rand(count, generator=generator)
    chosen = torch.rand((count, 2), generator=generator) < dyed
    dyes = torch.where(chosen[..., None, None], _draw_dyes((count, 2), generator), torch.eye(3))
    return Chimeras(upper, lower, cut, dyes)


def compose(pixels: torch.Tensor, chimeras: Chimeras) -> torch.Tensor:
    """(N, 3, H, W) uint8 crops → (len(chimeras), 3, H, W) of the same layout in memory."""
    height, width = pixels.shape[2:]
    composed = torch.empty((len(chimeras), 3, height, width), dtype=pixels.dtype, memory_format=torch.channels_last)
    for start in range(0, len(chimeras), _CHUNK):
        part = slice(start, start + _CHUNK)
        above = torch.arange(height) < (chimeras.cut[part] * height)[:, None]
        upper = _dye(pixels[chimeras.upper[part]], chimeras.dyes[part, 0])
        lower = _dye(pixels[chimeras.lower[part]], chimeras.dyes[part, 1])
        composed[part] = torch.where(above[:, None, :, None], upper, lower)
    return composed


def _draw_dyes(shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """(*shape, 3, 3) float32: hue turned by up to 90° about the greys, saturation × 0.6–1.4, brightness × 0.7–1.3."""
    hue, saturation, brightness = (
        (low + (high - low) * torch.rand(shape, generator=generator))[..., None, None]
        for low, high in (_HUE_RAD, _SATURATION, _BRIGHTNESS)
    )
    grey = torch.full((3, 3), 1 / 3)
    across = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    turned = hue.cos() * (torch.eye(3) - grey) + hue.sin() * across  # Rodrigues' rotation, less its axis
    return brightness * (grey + saturation * turned)


def _dye(crops: torch.Tensor, dyes: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W) uint8 crops, their own copy, in the colours of (B, 3, 3)."""
    dyed = (dyes != torch.eye(3)).flatten(1).any(1)
    colours = dyes[dyed] @ crops[dyed].flatten(2).float()
    crops[dyed] = colours.round_().clamp_(0, 255).to(torch.uint8).view(len(colours), *crops.shape[1:])
    return crops
