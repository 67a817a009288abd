"""Crops of nobody: one person's upper part over another's lower part, for a teacher alone to judge."""

from dataclasses import dataclass

import torch

NOBODY = -1
"""The label of a chimera: it belongs to no class."""
_HIGHEST_CUT = 0.35
_LOWEST_CUT = 0.65
_CHUNK = 4096


@dataclass(frozen=True)
class Chimeras:
    """N pairs of crops by position, (N,) int64 each, and the share of the height at which they meet, (N,) float32.

    Few people wear few clothes: a student that sees only them learns their wardrobe, not what its teacher looks at.
    N people can be recombined into N² whom the teacher has an opinion of ("Knowledge distillation: a good teacher is
    patient and consistent", Beyer et al. 2022, make such inputs by mixup; a cut keeps cloth and colour true).
    """

    upper: torch.Tensor
    lower: torch.Tensor
    cut: torch.Tensor

    def __len__(self) -> int:
        """How many there are."""
        return len(self.cut)


def draw_chimeras(num_crops: int, count: int, seed: int) -> Chimeras:
    """`count` random pairs among `num_crops` crops, the cut between 35 and 65 % of the height."""
    generator = torch.Generator().manual_seed(seed)
    upper, lower = torch.randint(num_crops, (2, count), generator=generator)
    cut = _HIGHEST_CUT + (_LOWEST_CUT - _HIGHEST_CUT) * torch.rand(count, generator=generator)
    return Chimeras(upper, lower, cut)


def compose(pixels: torch.Tensor, chimeras: Chimeras) -> torch.Tensor:
    """(N, 3, H, W) uint8 crops → (len(chimeras), 3, H, W) of the same layout in memory."""
    height, width = pixels.shape[2:]
    composed = torch.empty((len(chimeras), 3, height, width), dtype=pixels.dtype, memory_format=torch.channels_last)
    for start in range(0, len(chimeras), _CHUNK):
        part = slice(start, start + _CHUNK)
        above = torch.arange(height) < (chimeras.cut[part] * height)[:, None]
        composed[part] = torch.where(
            above[:, None, :, None], pixels[chimeras.upper[part]], pixels[chimeras.lower[part]]
        )
    return composed
