"""The embedding bundle in force: its network behind a queue, and what its scores mean; switched with the index."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from reid.errors import BundleError
from reid.images import decode_kept
from reid.kinds import EmbeddingBundle
from reid.predictors import Embedder
from service.batching import BATCH_IMAGES, ModelQueue, Run
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
    """A loaded embedding bundle: whoever takes one up works with vectors and calibration of one bundle to the end.

    `embedder` is the one on the first device; the queue has all.
    """

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
        self,
        settings: Settings,
        gallery: Gallery,
        embedders: Sequence[Embedder],
        decoders: Decoders,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._gallery = gallery
        self._decoders = decoders
        self._metrics = metrics
        self._changing = threading.Lock()
        self._loaded = {embedders[0].bundle_id: self._opened(embedders)}

    @property
    def current(self) -> Model:
        """The one in force; raises BundleMissingError where another service switched to one that is not here."""
        while (model := self._loaded.get(bundle_id := self._gallery.bundle_id)) is None:
            # Switched between the two looks, or by another service over the same store.
            with self._changing:
                if bundle_id == self._gallery.bundle_id and bundle_id not in self._loaded:
                    self._take_up(bundle_id)
        return model

    async def taken_up(self) -> Model:
        """:attr:`current`, loaded on another thread where that takes seconds: nobody else is to wait for it."""
        if self._gallery.bundle_id in self._loaded:
            return self.current
        return await asyncio.to_thread(lambda: self.current)

    async def in_force(self, work: Callable[[Model], Awaitable[T]]) -> T:
        """What `work` makes with the model in force: from the beginning again where that was switched meanwhile."""
        while True:
            model = await self.taken_up()
            try:
                return await work(model)
            except BundleChangedError:
                if await self.taken_up() is model:
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
        model = self._opened(load_embedders(folder, self._settings, self._settings.cache))
        self._loaded[model.bundle_id] = model
        return model

    def _retire(self) -> None:
        """Let go of what is not in force: its queue gives the answers that are waited for, and takes no more."""
        for bundle_id in self._loaded.keys() - {self._gallery.bundle_id}:
            self._loaded.pop(bundle_id).queue.close()

    def _opened(self, embedders: Sequence[Embedder]) -> Model:
        bundle = embedders[0].bundle
        runs = [_run_of(embedder) for embedder in embedders]
        queue = ModelQueue(bundle.preprocess, runs, self._decoders, self._metrics, self._settings.deadline_s)
        queue.warm_up()
        return Model(embedders[0], queue, Calibrations(self._gallery, bundle))


def load_embedders(folder: Path, settings: Settings, cache: Path | None = None) -> list[Embedder]:
    """A bundle on each of the devices; raises BundleError, and ValueError for a device that is not there."""
    return [Embedder.load(folder, device, cache) for device in settings.devices]


def _run_of(embedder: Embedder) -> Run:
    def embed(pixels: torch.Tensor) -> NDArray[np.float32]:
        return embedder.embed_pixels(pixels)

    return embed
