"""A clip in, what happens in it out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from reid.bundle import bundle_folder, load_network, read_bundle
from reid.clips import Clip, ClipLimits, Sampling
from reid.clips.preprocess import windows
from reid.kinds import ACTION, ActionBundle
from reid.networks.action import ActionNetwork
from reid.predictors.device import resolve_device, runs_on_openvino
from reid.predictors.frame_vectors import FrameVectors, pixels_of
from reid.predictors.label_score import LabelScore, ranked
from reid.predictors.openvino_network import kept_form


@dataclass(frozen=True)
class ActionSpan:
    """What happens from `start_s` to `end_s` of a clip: every label, best first."""

    start_s: float
    end_s: float
    labels: list[LabelScore]


class ActionRecognizer:
    """An action bundle ready to use. Make one with :meth:`load`, end it with :meth:`close`."""

    def __init__(
        self,
        bundle: ActionBundle,
        network: ActionNetwork,
        device: torch.device,
        limits: ClipLimits | None = None,
        *,
        openvino: bool = False,
        cache: Path | None = None,
    ) -> None:
        self.bundle = bundle
        self.device = device
        self.head = network.head
        kept = kept_form(cache, bundle.id)
        self.frames = FrameVectors(network, bundle.preprocess, device, openvino=openvino, kept=kept)
        self._decoder = bundle.preprocess.decoder(limits)

    @classmethod
    def load(
        cls, path: str | Path, device: str = "auto", limits: ClipLimits | None = None, cache: Path | None = None
    ) -> Self:
        """Load a bundle folder or a shipped bundle by name; `device` and `cache` as an :class:`Embedder` has them.

        Raises :class:`~reid.errors.BundleError` when it is not exactly an action bundle and ``ValueError`` when the
        device is not there.
        """
        folder = bundle_folder(path)
        bundle = read_bundle(folder, ACTION)
        network, on_openvino = load_network(folder, bundle, ACTION), runs_on_openvino(device)
        return cls(bundle, network, resolve_device(device), limits, openvino=on_openvino, cache=cache)

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
        return self.spans_of(decoded, self.frames.of(pixels_of(decoded)))

    def spans_of(self, clip: Clip, vectors: torch.Tensor) -> list[ActionSpan]:
        """:meth:`spans`, for who has the clip decoded and the vectors (F, V) of its frames already."""
        return [
            ActionSpan(start, end, ranked(self.bundle.labels, scores))
            for (start, end), scores in zip(clip.spans_s, self.window_scores(clip, vectors), strict=True)
        ]

    def decode(self, clip: bytes, sampling: Sampling | None = None) -> Clip:
        """The bytes of a clip → its frames, by the bundle's sampling unless another is given. Raises as above."""
        return self._decoder.decode(clip, sampling)

    def scores(self, clip: Clip) -> NDArray[np.float32]:
        """A decoded clip of W windows → (W, L) float32 in the order of the bundle's labels; rows sum to 1."""
        return self.window_scores(clip, self.frames.of(pixels_of(clip)))

    @torch.inference_mode()
    def window_scores(self, clip: Clip, vectors: torch.Tensor) -> NDArray[np.float32]:
        """:meth:`scores`, for who has the vectors (F, V) of the clip's frames already."""
        vectors = vectors.to(self.device)
        statistics = torch.cat([self.head.statistics(vectors[rows][None]) for rows in windows(clip)])
        scores: NDArray[np.float32] = self.head.logits(statistics).softmax(dim=1).cpu().numpy()
        return scores

    def close(self) -> None:
        """End the decoder's spare process."""
        self._decoder.close()
