"""Images in, embeddings out."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

from reid.bundle import bundle_folder, load_network, read_bundle
from reid.images import decode_image
from reid.kinds import EMBEDDING, EmbeddingBundle
from reid.networks.embedding import EmbeddingNetwork
from reid.precision import Network, Precision, choose_precision
from reid.predictors.device import OPENVINO, moved, resolve_device, runs_on_openvino
from reid.predictors.openvino_network import OpenVinoNetwork, kept_form

_LOG = logging.getLogger(__name__)
_BATCH = 32


class Embedder:
    """An embedding bundle ready to use. Make one with :meth:`load`."""

    def __init__(
        self,
        bundle: EmbeddingBundle,
        network: EmbeddingNetwork,
        device: torch.device,
        *,
        openvino: bool = False,
        cache: Path | None = None,
    ) -> None:
        self.bundle = bundle
        self.device = device
        # torch's types know `to` with a memory format for tensors only.
        own = network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.precision: Precision = choose_precision(own, bundle.preprocess, device)
        kept = kept_form(cache, bundle.id)
        self._network: Network = OpenVinoNetwork(own, bundle.preprocess, self.precision, kept) if openvino else own
        runtime = OPENVINO if openvino else "torch"
        _LOG.info("bundle %s on %s in %s by %s", bundle.id[:12], device, self.precision, runtime)

    @classmethod
    def load(cls, path: str | Path | None = None, device: str = "auto", cache: Path | None = None) -> Self:
        """Load a bundle folder, a shipped bundle by name, or (None) the shipped default.

        `device` is `auto` (a GPU when there is one, else OpenVINO when it is installed), `cpu` (by torch), `openvino`,
        `cuda` or `cuda:N`. In the folder `cache` OpenVINO's form of the network is kept for the next time. Raises
        :class:`~reid.errors.BundleError` when the folder is not exactly a bundle and ``ValueError`` when the device is
        not there.
        """
        folder = bundle_folder(path)
        bundle = read_bundle(folder, EMBEDDING)
        network = load_network(folder, bundle, EMBEDDING)
        return cls(bundle, network, resolve_device(device), openvino=runs_on_openvino(device), cache=cache)

    @property
    def bundle_id(self) -> str:
        """Hex sha256 of weights, network and preprocessing: vectors of two ids are never compared."""
        return self.bundle.id

    @property
    def dimension(self) -> int:
        """Length D of the vectors."""
        return self.bundle.network.embedding_size

    def embed(self, images: Sequence[bytes | Image.Image]) -> NDArray[np.float32]:
        """Crops (RGB images, or the bytes of JPEG, PNG or WebP files) → (N, D) float32 rows of unit length.

        Raises :class:`~reid.errors.ImageError` or a child when bytes cannot be read. N = 0 gives (0, D).
        """
        rows = [self._embed_batch(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
        return np.concatenate(rows) if rows else np.empty((0, self.dimension), dtype=np.float32)

    def _embed_batch(self, images: Sequence[bytes | Image.Image]) -> NDArray[np.float32]:
        pixels = self.bundle.preprocess.stack([_as_image(image) for image in images])
        return self.embed_pixels(pixels)

    @torch.inference_mode()
    def embed_pixels(self, pixels: torch.Tensor) -> NDArray[np.float32]:
        """(B, 3, H, W) uint8 at the bundle's size → (B, D) float32 rows of unit length."""
        tensor = self.bundle.preprocess.normalise(moved(pixels, self.device))
        with self.precision.autocast(self.device):
            vectors = embed_tensor(self._network, tensor, flip_average=self.bundle.preprocess.flip_average)
        rows: NDArray[np.float32] = vectors.cpu().numpy()
        return rows


def embed_tensor(network: Network, tensor: torch.Tensor, *, flip_average: bool) -> torch.Tensor:
    """Normalised (B, 3, H, W) → (B, D) float32 unit rows; with `flip_average`, of the sum with the mirrored crop's."""
    vectors = network(tensor).float()
    if flip_average:
        vectors = vectors + network(tensor.flip(3)).float()
    return F.normalize(vectors)


def _as_image(image: bytes | Image.Image) -> Image.Image:
    return decode_image(image) if isinstance(image, bytes) else image
