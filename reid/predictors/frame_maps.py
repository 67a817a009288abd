"""What a frame network sees in a clip: the same for training and for serving."""

from functools import partial

import torch
from torch import nn

from reid.clips import Clip
from reid.clips.preprocess import ClipPreprocess
from reid.networks.action import frame_maps
from reid.precision import choose_precision

_FRAMES_AT_ONCE = 16


class FrameMaps:
    """A frame network in evaluation mode on a device, in the precision that was measured for it."""

    def __init__(self, network: nn.Module, preprocess: ClipPreprocess, device: torch.device) -> None:
        # torch's types know `to` with a memory format for tensors only.
        self._network = network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._preprocess, self._device = preprocess, device
        self.precision = choose_precision(partial(frame_maps, self._network), preprocess, device)

    @torch.inference_mode()
    def of(self, clip: Clip) -> torch.Tensor:
        """Maps (F, C, h, w) float32 on the device, each frame seen once however many windows it is in."""
        pixels = torch.from_numpy(clip.frames.copy()).permute(0, 3, 1, 2)  # a copy: torch wants memory it may write
        rows = []
        for part in torch.split(pixels, _FRAMES_AT_ONCE):
            with self.precision.autocast(self._device):
                rows.append(frame_maps(self._network, self._preprocess.normalise(part.to(self._device))).float())
        return torch.cat(rows)
