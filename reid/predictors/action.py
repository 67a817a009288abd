"""A clip in, what happens in it out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from reid.bundle import bundle_folder, load_network, read_bundle
from reid.clips import Clip, ClipLimits
from reid.clips.preprocess import windows
from reid.kinds import ACTION, ActionBundle
from reid.networks.action import ActionNetwork
from reid.predictors.device import resolve_device
from reid.predictors.frame_maps import FrameMaps
from reid.predictors.label_score import LabelScore, ranked


@dataclass(frozen=True)
class ActionSpan:
    """What happens from `start_s` to `end_s` of a clip: every label, best first."""

    start_s: float
    end_s: float
    labels: list[LabelScore]


class ActionRecognizer:
    """An action bundle ready to use. Make one with :meth:`load`, end it with :meth:`close`."""

    def __init__(
        self, bundle: ActionBundle, network: ActionNetwork, device: torch.device, limits: ClipLimits | None = None
    ) -> None:
        self.bundle = bundle
        self.device = device
        # torch's types know `to` with a memory format for tensors only.
        self._network = network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.frames = FrameMaps(self._network.frames, bundle.preprocess, device)
        self._decoder = bundle.preprocess.decoder(limits)

    @classmethod
    def load(cls, path: str | Path, device: str = "auto", limits: ClipLimits | None = None) -> Self:
        """Load a bundle folder or a shipped bundle by name.

        Raises :class:`~reid.errors.BundleError` when it is not exactly an action bundle and ``ValueError`` when the
        device is not there.
        """
        folder = bundle_folder(path)
        bundle = read_bundle(folder, ACTION)
        return cls(bundle, load_network(folder, bundle, ACTION), resolve_device(device), limits)

    def predict(self, clip: bytes) -> list[LabelScore]:
        """The bytes of a clip → every label, best first; of several windows, the mean. The scores sum to 1.

        Raises :class:`~reid.errors.ClipError` or a child when the bytes cannot be used.
        """
        return ranked(self.bundle.labels, self.clip_scores(clip).mean(axis=0))

    def clip_scores(self, clip: bytes) -> NDArray[np.float32]:
        """The bytes of a clip → (W, L) float32, a row a window. Raises as :meth:`predict`."""
        return self.scores(self._decoder.decode(clip))

    def spans(self, clip: bytes) -> list[ActionSpan]:
        """The same for each window, with its time range."""
        decoded = self._decoder.decode(clip)
        return [
            ActionSpan(start, end, ranked(self.bundle.labels, scores))
            for (start, end), scores in zip(decoded.spans_s, self.scores(decoded), strict=True)
        ]

    @torch.inference_mode()
    def scores(self, clip: Clip) -> NDArray[np.float32]:
        """A decoded clip of W windows → (W, L) float32 in the order of the bundle's labels; rows sum to 1."""
        maps = self.frames.of(clip)
        logits = torch.cat([self._network.head(maps[rows][None]) for rows in windows(clip).to(self.device)])
        scores: NDArray[np.float32] = logits.softmax(dim=1).cpu().numpy()
        return scores

    def close(self) -> None:
        """End the decoder's spare process."""
        self._decoder.close()
