"""The embedding bundle in force: its network behind a queue, and what its scores mean; switched with the index."""

import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from reid.errors import BundleError
from reid.images import decode_kept
from reid.kinds import EmbeddingBundle
from reid.predictors import Embedder
from service.batching import BATCH_IMAGES, ModelQueue
from service.bundles import embedding_folder, keep
from service.calibration import Calibrations
from service.decoding import Decoders
from service.gallery.activation import Progress
from service.gallery.errors import BundleChangedError
from service.gallery.gallery import Gallery
from service.gallery.records import Activation, Actor
from service.gallery.sqlite.reading import Reading
from service.metrics import Metrics
from service.problems import BundleMissingError
from service.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True)
class Model:
    """A loaded embedding bundle: whoever takes one up works with vectors and calibration of one bundle to the end."""

    embedder: Embedder
    queue: ModelQueue
    calibrations: Calibrations

    @property
    def bundle(self) -> EmbeddingBundle:
        """What it is."""
        return self.embedder.bundle

    @property
    def bundle_id(self) -> str:
        """Whose vectors it makes."""
        return self.embedder.bundle_id

    def embed_kept(self, jpegs: Sequence[bytes]) -> NDArray[np.float32]:
        """Kept crops → (N, D) float32 unit rows, as at their enrolment. One crop at a time is in memory whole."""
        preprocess = self.bundle.preprocess
        pixels = torch.cat([preprocess.stack([decode_kept(jpeg)]) for jpeg in jpegs])
        return np.concatenate([self.embedder.embed_pixels(part) for part in torch.split(pixels, BATCH_IMAGES)])


class Models:
    """The bundle that the gallery is searched with, and while it changes the next one. Safe to call from any thread.

    The gallery alone says which is in force, so that index and network cannot disagree.
    """

    def __init__(
        self, settings: Settings, gallery: Gallery, embedder: Embedder, decoders: Decoders, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._gallery = gallery
        self._decoders = decoders
        self._metrics = metrics
        self._changing = threading.Lock()
        self._loaded = {embedder.bundle_id: self._opened(embedder)}

    @property
    def current(self) -> Model:
        """The one in force; raises BundleMissingError where another service switched to one that is not here."""
        while (model := self._loaded.get(bundle_id := self._gallery.bundle_id)) is None:
            # Switched between the two looks, or by another service over the same store.
            with self._changing:
                if bundle_id == self._gallery.bundle_id and bundle_id not in self._loaded:
                    self._take_up(bundle_id)
        return model

    async def in_force(self, work: Callable[[Model], Awaitable[T]]) -> T:
        """What `work` makes with the model in force: from the beginning again where that was switched meanwhile."""
        while True:
            model = self.current
            try:
                return await work(model)
            except BundleChangedError:
                if self.current is model:
                    raise

    def activate(
        self, actor: Actor, bundle_id: str, progress: Progress, check: Callable[[Reading], None]
    ) -> Activation:
        """Put a bundle on disk in force, as :meth:`Gallery.activate` does; whatever ends it, one is in force after.

        Raises BundleError for one that is not on disk, and what :meth:`Gallery.activate` raises. One at a time.
        """
        try:
            model = self._loaded.get(bundle_id) or self._load(bundle_id)
            dimension = model.embedder.dimension
            written = self._gallery.activate(actor, bundle_id, dimension, model.embed_kept, progress, check)
            assert written.value is not None
            return written.value
        finally:
            self._retire()

    def close(self) -> None:
        """Finish what waits."""
        for model in self._loaded.values():
            model.queue.close()

    def _take_up(self, bundle_id: str) -> None:
        try:
            self._load(bundle_id)
        except BundleError as error:
            raise BundleMissingError(f"another service over this gallery switched its model: {error}") from error
        self._retire()

    def _load(self, bundle_id: str) -> Model:
        folder = embedding_folder(self._settings, bundle_id)
        if folder is None:
            raise BundleError(f"expected an embedding bundle on disk, got none of the id {bundle_id}")
        keep(folder, bundle_id, self._settings.home)
        model = self._opened(Embedder.load(folder, self._settings.device, self._settings.cache))
        self._loaded[model.bundle_id] = model
        return model

    def _retire(self) -> None:
        """Let go of what is not in force: its queue gives the answers that are waited for, and takes no more."""
        for bundle_id in self._loaded.keys() - {self._gallery.bundle_id}:
            self._loaded.pop(bundle_id).queue.close()

    def _opened(self, embedder: Embedder) -> Model:
        def embed(pixels: torch.Tensor) -> NDArray[np.float32]:
            return embedder.embed_pixels(pixels)

        preprocess, deadline_s = embedder.bundle.preprocess, self._settings.deadline_s
        queue = ModelQueue(preprocess, embed, self._decoders, self._metrics, deadline_s)
        queue.warm_up()
        return Model(embedder, queue, Calibrations(self._gallery, embedder.bundle))
