"""An image in, its labels with scores out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from reid.bundle import bundle_folder, load_network, read_bundle
from reid.images import decode_image
from reid.kinds import CLASSIFIER, ClassifierBundle
from reid.networks.classifier import ClassifierNetwork
from reid.precision import Precision, choose_precision
from reid.predictors.device import moved, resolve_device
from reid.predictors.label_score import LabelScore, ranked


class ImageClassifier:
    """A classifier bundle ready to use. Make one with :meth:`load`."""

    def __init__(self, bundle: ClassifierBundle, network: ClassifierNetwork, device: torch.device) -> None:
        self.bundle = bundle
        self.device = device
        self._network = network.eval().to(device)
        self.precision: Precision = choose_precision(self._network, bundle.preprocess, device)

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> Self:
        """Load a bundle folder or a shipped bundle by name.

        Raises :class:`~reid.errors.BundleError` when it is not exactly a classifier bundle and ``ValueError`` when the
        device is not there.
        """
        folder = bundle_folder(path)
        bundle = read_bundle(folder, CLASSIFIER)
        return cls(bundle, load_network(folder, bundle, CLASSIFIER), resolve_device(device))

    def predict(self, image: bytes | Image.Image) -> list[LabelScore]:
        """An RGB image, or the bytes of a JPEG, PNG or WebP file → every label, best first; the scores sum to 1.

        Raises :class:`~reid.errors.ImageError` or a child when bytes cannot be read.
        """
        decoded = decode_image(image) if isinstance(image, bytes) else image
        return ranked(self.bundle.labels, self.scores([decoded])[0])

    def scores(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        """(N, L) float32 in the order of the bundle's labels; rows sum to 1."""
        return self.score_pixels(self.bundle.preprocess.stack(images))

    @torch.inference_mode()
    def score_pixels(self, pixels: torch.Tensor) -> NDArray[np.float32]:
        """(B, C, H, W) uint8 at the bundle's size → (B, L) float32 rows that sum to 1."""
        images = self.bundle.preprocess.normalise(moved(pixels, self.device))
        with self.precision.autocast(self.device):
            outputs = self._network(images)
        scores: NDArray[np.float32] = outputs.float().softmax(dim=1).cpu().numpy()
        return scores
