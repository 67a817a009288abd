"""What an action network sees in frames: the same for training and for serving."""

import torch
from torch import nn

from reid.clips import Clip
from reid.clips.preprocess import ClipPreprocess
from reid.networks.action import ActionNetwork, frame_maps, pooled
from reid.precision import choose_precision

FRAMES_AT_ONCE = 16


class FrameVectors:
    """An action network's frame part in evaluation mode on a device, in the precision that was measured for it."""

    def __init__(self, network: ActionNetwork, preprocess: ClipPreprocess, device: torch.device) -> None:
        # torch's types know `to` with a memory format for tensors only.
        self._frames: nn.Module = network.frames.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._head = network.head.eval().to(device)
        self._preprocess, self._device = preprocess, device
        # Judged by the mean over the locations, which heads look at and rounding moves less than any one of them.
        self.precision = choose_precision(lambda images: pooled(frame_maps(self._frames, images)), preprocess, device)

    @torch.inference_mode()
    def maps(self, pixels: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) uint8 → maps (N, F, h, w) float32 on the device."""
        with self.precision.autocast(self._device):
            return frame_maps(self._frames, self._preprocess.normalise(pixels.to(self._device))).float()

    @torch.inference_mode()
    def of(self, pixels: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) uint8 → what the head keeps of each frame, (N, V) float32 on the device."""
        return torch.cat([self._head.vectors(self.maps(part)) for part in torch.split(pixels, FRAMES_AT_ONCE)])


def pixels_of(clip: Clip) -> torch.Tensor:
    """A clip's sampled frames, (F, 3, H, W) uint8."""
    return torch.from_numpy(clip.frames.copy()).permute(0, 3, 1, 2)  # a copy: torch wants memory it may write
