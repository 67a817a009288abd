"""Classifiers: bundles that are loaded when they are first asked for, each behind a queue of its own, and kept."""

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from reid.kinds import CLASSIFIER, ClassifierBundle
from reid.predictors import ImageClassifier
from service.batching import ModelQueue
from service.bundles import bundles, folders
from service.decoding import Decoders
from service.gallery.errors import NotFoundError
from service.metrics import Metrics


@dataclass(frozen=True)
class Classifier:
    """A loaded bundle, and the queue in front of it."""

    bundle: ClassifierBundle
    queue: ModelQueue


class Classifiers:
    """The classifiers on disk. Safe to call from any thread."""

    def __init__(self, home: Path, device: str, decoders: Decoders, metrics: Metrics, deadline_s: float) -> None:
        self._home = home
        self._device = device
        self._decoders = decoders
        self._metrics = metrics
        self._deadline_s = deadline_s
        self._loading = threading.Lock()
        self._loaded: dict[str, Classifier] = {}

    def on_disk(self) -> dict[str, ClassifierBundle]:
        """By name."""
        return {name: bundle for name, bundle in bundles(self._home).items() if bundle.kind == CLASSIFIER.name}

    def loaded(self, name: str) -> Classifier | None:
        """One that was asked for before."""
        return self._loaded.get(name)

    def load(self, name: str) -> Classifier:
        """The classifier of that name, loaded unless it is already; raises NotFoundError, BundleError."""
        with self._loading:
            if name not in self._loaded:
                if name not in self.on_disk():
                    raise NotFoundError(f"expected a classifier that exists, got {name!r}")
                self._loaded[name] = self._open(folders(self._home)[name])
            return self._loaded[name]

    def close(self) -> None:
        """Finish what waits."""
        for classifier in self._loaded.values():
            classifier.queue.close()

    def _open(self, folder: Path) -> Classifier:
        model = ImageClassifier.load(folder, self._device)

        def score(pixels: torch.Tensor) -> NDArray[np.float32]:
            return model.score_pixels(pixels)

        queue = ModelQueue(model.bundle.preprocess, score, self._decoders, self._metrics, self._deadline_s)
        queue.warm_up()
        return Classifier(model.bundle, queue)
