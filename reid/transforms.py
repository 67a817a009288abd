"""Images to network input: one object that trains, evaluates and serves, and travels with the weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_MODES = {3: "RGB", 1: "L"}
_INTERPOLATIONS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class PreprocessConfig:
    """How an image becomes network input.

    `height_px` × `width_px` is what every image is resized to (aspect ratio not kept, as the field does);
    `mean` and `std` are per channel in [0, 1]: three of RGB, or one of grey (ITU-R 601 luma, as Pillow's `L`);
    `flip_average` adds the mirrored image's features.
    """

    height_px: int
    width_px: int
    interpolation: str = "bicubic"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    flip_average: bool = True

    def __post_init__(self) -> None:
        """Raise ``ValueError`` on a size, interpolation or scale that cannot work."""
        if self.height_px < 1 or self.width_px < 1:
            raise ValueError(f"expected a size of at least 1×1 px, got {self.height_px}×{self.width_px}")
        if self.interpolation not in _INTERPOLATIONS:
            raise ValueError(f"expected interpolation {sorted(_INTERPOLATIONS)}, got {self.interpolation!r}")
        if len(self.mean) not in _MODES or len(self.std) != len(self.mean) or min(self.std) <= 0:
            raise ValueError(f"expected 3 means and positive stds, or 1 of grey, got {self.mean} and {self.std}")

    @property
    def channels(self) -> int:
        """C: 3 of RGB or 1 of grey."""
        return len(self.mean)

    def resize(self, image: Image.Image) -> NDArray[np.uint8]:
        """One image → (H, W, C) uint8 at the configured size."""
        size = (self.width_px, self.height_px)
        pixels = np.asarray(image.convert(_MODES[self.channels]).resize(size, _INTERPOLATIONS[self.interpolation]))
        return pixels.reshape(self.height_px, self.width_px, self.channels)

    def stack(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Images → (B, C, H, W) uint8, memory laid out channels-last."""
        pixels = np.stack([self.resize(image) for image in images])
        return torch.from_numpy(pixels).permute(0, 3, 1, 2)

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) uint8 → (B, C, H, W) float32: (pixels / 255 - mean) / std, on the pixels' device."""
        return normalised(pixels, self.mean, self.std)


def normalised(pixels: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """(B, C, H, W) of 0–255 → float32: (pixels / 255 - mean) / std by channel, on the pixels' device."""
    means, stds = (torch.tensor(values, device=pixels.device).view(1, -1, 1, 1) for values in (mean, std))
    return (pixels.float() - 255 * means) / (255 * stds)
