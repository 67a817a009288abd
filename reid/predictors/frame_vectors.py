"""What an action network sees in frames: the same for training and for serving."""

from pathlib import Path

import torch
from torch import nn

from reid.clips import Clip
from reid.clips.preprocess import ClipPreprocess
from reid.networks.action import GREY, ActionNetwork, frame_maps, pooled
from reid.precision import Network, choose_precision
from reid.predictors.device import moved
from reid.predictors.openvino_network import OpenVinoNetwork

FRAMES_AT_ONCE = 16


class _FrameMaps(nn.Module):
    """:func:`frame_maps` as a module, which is what can be converted."""

    def __init__(self, frames: nn.Module) -> None:
        super().__init__()
        self.frames = frames

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) → (N, F, h, w)."""
        return frame_maps(self.frames, images)


class FrameVectors:
    """An action network's frame part in evaluation mode on a device, in the precision that was measured for it.

    With `openvino` it is run by that, its form kept in the file `kept`; grey frames have nothing to run.
    """

    def __init__(
        self,
        network: ActionNetwork,
        preprocess: ClipPreprocess,
        device: torch.device,
        *,
        openvino: bool = False,
        kept: Path | None = None,
    ) -> None:
        # torch's types know `to` with a memory format for tensors only.
        own = _FrameMaps(network.frames).eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._head = network.head.eval().to(device)
        self._preprocess, self._device = preprocess, device
        # Judged by the mean over the locations, which heads look at and rounding moves less than any one of them.
        self.precision = choose_precision(lambda images: pooled(own(images)), preprocess, device)
        converts = openvino and network.arguments.backbone != GREY
        self._maps: Network = OpenVinoNetwork(own, preprocess, self.precision, kept, pooled) if converts else own

    @torch.inference_mode()
    def maps(self, pixels: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) uint8 → maps (N, F, h, w) float32 on the device."""
        with self.precision.autocast(self._device):
            return self._maps(self._preprocess.normalise(moved(pixels, self._device))).float()

    @torch.inference_mode()
    def of(self, pixels: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) uint8 → what the head keeps of each frame, (N, V) float32 on the device."""
        return torch.cat([self._head.vectors(self.maps(part)) for part in torch.split(pixels, FRAMES_AT_ONCE)])


def pixels_of(clip: Clip) -> torch.Tensor:
    """A clip's sampled frames, (F, 3, H, W) uint8."""
    return torch.from_numpy(clip.frames.copy()).permute(0, 3, 1, 2)  # a copy: torch wants memory it may write
