"""What the routes stand on: settings, gallery, model, calibration, jobs, events; opened and closed together."""

import threading
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from reid.predictors import Embedder
from service.admission import Admission
from service.batching import ModelQueue
from service.calibration import Calibrations
from service.classifiers import Classifiers
from service.decoding import Decoders
from service.evaluation.job import evaluation_of
from service.events.feed import ChangeFeed
from service.gallery.gallery import Gallery
from service.gallery.retention import RetentionRunner
from service.jobs import JobRunner, Kind
from service.limits import RateLimit
from service.metrics import Metrics
from service.settings import Settings
from service.webhooks.courier import Couriers


@dataclass(frozen=True)
class Core:
    """One running service. Make it with :meth:`open`."""

    settings: Settings
    gallery: Gallery
    embedder: Embedder
    model: ModelQueue
    classifiers: Classifiers
    calibrations: Calibrations
    jobs: JobRunner
    feed: ChangeFeed
    couriers: Couriers
    limit: RateLimit
    metrics: Metrics
    _opened: ExitStack
    labelling: threading.Lock = field(default_factory=threading.Lock)  # reading a sighting's attributes, then writing

    @classmethod
    def open(cls, settings: Settings) -> "Core":
        """Load the bundle and open the gallery.

        Raises BundleError, HomeError, or ValueError for a device that is not there.
        """
        return cls.over(settings, Embedder.load(settings.bundle, settings.device))

    @classmethod
    def over(cls, settings: Settings, embedder: Embedder) -> "Core":
        """:meth:`open` with a bundle that is loaded already."""
        with ExitStack() as opened:
            gallery = Gallery(settings.home, settings.store_path, embedder.bundle_id, embedder.dimension)
            opened.callback(gallery.close)
            metrics = Metrics()
            decoders = Decoders()
            opened.callback(decoders.close)
            model = _model_queue(embedder, decoders, metrics, settings.deadline_s)
            opened.callback(model.close)
            classifiers = Classifiers(settings.home, settings.device, decoders, metrics, settings.deadline_s)
            opened.callback(classifiers.close)
            calibrations = Calibrations(gallery, embedder.bundle)
            jobs = JobRunner(gallery, {"evaluate": Kind("read", evaluation_of(gallery))})
            opened.callback(jobs.close)
            feed = ChangeFeed(gallery)
            opened.callback(feed.close)
            couriers = Couriers(gallery, feed, private=settings.webhooks == "private")
            opened.callback(couriers.close)
            opened.callback(RetentionRunner(gallery).close)
            limit = RateLimit(settings.requests_per_minute)
            _watch(metrics, gallery, model)
            return cls(
                settings,
                gallery,
                embedder,
                model,
                classifiers,
                calibrations,
                jobs,
                feed,
                couriers,
                limit,
                metrics,
                opened.pop_all(),
            )

    def admission_of(self, template: str, path: str) -> Admission | None:
        """Who lets requests for a model in: the one that this path leads to, if it is loaded."""
        if not template.endswith("{name}"):
            return self.model.admission
        classifier = self.classifiers.loaded(path.rpartition("/")[2])
        return None if classifier is None else classifier.queue.admission

    def close(self) -> None:
        """Finish what runs, then let go of REID_HOME."""
        self._opened.close()


def _model_queue(embedder: Embedder, decoders: Decoders, metrics: Metrics, deadline_s: float) -> ModelQueue:
    def embed(pixels: torch.Tensor) -> NDArray[np.float32]:
        return embedder.embed_pixels(pixels)

    queue = ModelQueue(embedder.bundle.preprocess, embed, decoders, metrics, deadline_s)
    queue.warm_up()
    return queue


def _watch(metrics: Metrics, gallery: Gallery, model: ModelQueue) -> None:
    def pending() -> float:
        return float(bool(gallery.pending))

    metrics.watch("reid_model_waiting_images", "images that wait for the model", lambda: model.waiting)
    metrics.watch("reid_sightings_indexed", "sightings that a search looks at", lambda: gallery.sightings_indexed)
    metrics.watch("reid_change", "number of the last change", lambda: gallery.change)
    metrics.watch("reid_erasure_pending", "1 while something erased is not gone from the disk", pending)
