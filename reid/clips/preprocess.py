"""How a clip becomes network input; travels with the weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from reid.clips.decoding import Clip, ClipDecoder
from reid.clips.limits import ClipLimits
from reid.clips.sampling import Policy, Sampling
from reid.transforms import IMAGENET_MEAN, IMAGENET_STD, normalised

FITS = ("letterbox", "stretch")


@dataclass(frozen=True)
class ClipPreprocess:
    """Which frames (:class:`~reid.clips.Sampling`), fitted to what size, normalised how (RGB in [0, 1]).

    `fit` is `letterbox` (aspect kept, black bars) or `stretch`.
    """

    height_px: int = 224
    width_px: int = 224
    policy: str = "middle"
    num_frames: int = 40
    rate_hz: float = 0.0
    fit: str = "letterbox"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __post_init__(self) -> None:
        """Raise ``ValueError`` on a size, sampling or scale that cannot work."""
        if self.height_px < 1 or self.width_px < 1:
            raise ValueError(f"expected a size of at least 1×1 px, got {self.height_px}×{self.width_px}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(f"expected 3 means and positive stds, got {self.mean} and {self.std}")
        if self.fit not in FITS:
            raise ValueError(f"expected a fit of {FITS}, got {self.fit!r}")
        assert self.sampling

    @property
    def sampling(self) -> Sampling:
        """The frames of each window."""
        return Sampling(Policy(self.policy), self.num_frames, self.rate_hz)

    def decoder(self, limits: ClipLimits | None = None) -> ClipDecoder:
        """A decoder of this size and sampling; close it."""
        return ClipDecoder(self.height_px, self.width_px, self.sampling, limits, self.fit)

    @property
    def channels(self) -> int:
        """3, of RGB."""
        return len(self.mean)

    def stack(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """RGB images (N ≥ 1), the frames of a stream → (N, 3, H, W) uint8, fitted as those of a clip are."""
        from reid.clips.fit import fitted_image  # loads a decoder, which clips are not read with here

        frames = [fitted_image(image, self.height_px, self.width_px, self.fit) for image in images]
        return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """(F, 3, H, W) uint8 → (F, 3, H, W) float32."""
        return normalised(pixels, self.mean, self.std)


def windows(clip: Clip) -> torch.Tensor:
    """(W, T) int64: for each window the rows of `clip.frames` that the network sees."""
    return torch.stack([torch.from_numpy(rows) for rows in clip.rows])
