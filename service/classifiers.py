"""Classifiers: an image in, labels with scores out."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from reid.kinds import CLASSIFIER, ClassifierBundle
from reid.networks.classifier import ClassifierArguments
from reid.predictors import ImageClassifier
from reid.transforms import PreprocessConfig
from service.batching import ModelQueue
from service.decoding import Decoders
from service.metrics import Metrics
from service.on_demand import OnDemand
from service.settings import Settings


@dataclass(frozen=True)
class Classifier:
    """A loaded bundle, and the queue in front of it."""

    bundle: ClassifierBundle
    queue: ModelQueue


class Classifiers(OnDemand[Classifier, ClassifierArguments, PreprocessConfig]):
    """The classifiers on disk."""

    def __init__(self, settings: Settings, decoders: Decoders, metrics: Metrics) -> None:
        super().__init__(CLASSIFIER, "a classifier", settings, decoders, metrics)

    def _open(self, folder: Path) -> Classifier:
        model = ImageClassifier.load(folder, self._settings.first_device)

        def score(pixels: torch.Tensor) -> NDArray[np.float32]:
            return model.score_pixels(pixels)

        queue = ModelQueue(model.bundle.preprocess, [score], self._decoders, self._metrics, self._settings.deadline_s)
        queue.warm_up()
        return Classifier(model.bundle, queue)
