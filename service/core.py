"""What the routes stand on: settings, gallery, models, jobs, events; opened and closed together."""

from contextlib import ExitStack
from dataclasses import dataclass

from reid.predictors import Embedder, resolve_device
from reid.search import Device
from service.actions import Actions
from service.activation import activation_of
from service.admission import Admission
from service.bundles import folder_to_serve, keep
from service.classifiers import Classifiers
from service.decoding import Decoders
from service.detector import FrameDetector, detector_of
from service.evaluation.job import evaluation_of
from service.events.feed import ChangeFeed
from service.gallery.gallery import Gallery
from service.gallery.home import make_home
from service.gallery.retention import RetentionRunner
from service.jobs import JobRunner, Kind
from service.limits import AtMost, RateLimit
from service.metrics import Metrics
from service.models import Model, Models, load_embedders
from service.settings import Settings
from service.succession import Succession
from service.transfers import export_of, import_into
from service.webhooks.courier import Couriers

MOST_STREAMS = 64  # of frames, at a time


@dataclass(frozen=True)
class Core:
    """One running service. Make it with :meth:`open`."""

    settings: Settings
    gallery: Gallery
    models: Models
    classifiers: Classifiers
    actions: Actions
    detector: FrameDetector | None
    jobs: JobRunner
    feed: ChangeFeed
    couriers: Couriers
    limit: RateLimit
    metrics: Metrics
    _opened: ExitStack
    streams: AtMost

    @classmethod
    def open(cls, settings: Settings) -> "Core":
        """Load the bundle and open the gallery.

        Raises BundleError, HomeError, ValueError for a device that is not there, OSError where the disk is full.
        """
        folder = folder_to_serve(settings)
        make_home(settings.home)
        embedders = load_embedders(folder, settings, settings.cache)
        core = cls.over(settings, *embedders)
        with ExitStack() as failing:
            failing.callback(core.close)
            keep(folder, core.model.bundle_id, settings.home)
            failing.pop_all()
        return core

    @classmethod
    def over(cls, settings: Settings, embedder: Embedder, *others: Embedder) -> "Core":
        """:meth:`open` with a bundle that is loaded already; `others` are the same on more devices."""
        with ExitStack() as opened:
            gallery = Gallery(
                *(settings.home, settings.store_address, embedder.bundle_id, embedder.dimension),
                *(settings.index_address, _search_device(settings.first_device)),
            )
            opened.callback(gallery.close)
            metrics = Metrics()
            decoders = Decoders()
            opened.callback(decoders.close)
            models = Models(settings, gallery, [embedder, *others], decoders, metrics)
            opened.callback(models.close)
            classifiers = Classifiers(settings, decoders, metrics)
            opened.callback(classifiers.close)
            actions = Actions(settings, decoders, metrics)
            opened.callback(actions.close)
            detector = detector_of(settings, decoders, metrics)
            if detector is not None:
                opened.callback(detector.close)
            kinds = {
                "evaluate": Kind("read", evaluation_of(gallery)),
                "activate": Kind("admin", activation_of(models)),
                "export": Kind("admin", export_of(gallery)),
                "import": Kind("admin", import_into(gallery)),
            }
            jobs = JobRunner(gallery, kinds)
            opened.callback(jobs.close)
            feed = ChangeFeed(gallery)
            opened.callback(feed.close)
            couriers = Couriers(gallery, feed, private=settings.webhooks == "private")
            opened.callback(couriers.close)
            if gallery.store.home_id:
                opened.callback(Succession(gallery, jobs, couriers).close)
            opened.callback(RetentionRunner(gallery).close)
            limit = RateLimit(settings.requests_per_minute, count=gallery.store.count_request)
            _watch(metrics, gallery, models)
            return cls(
                settings,
                gallery,
                models,
                classifiers,
                actions,
                detector,
                jobs,
                feed,
                couriers,
                limit,
                metrics,
                opened.pop_all(),
                AtMost(MOST_STREAMS, "action streams"),
            )

    @property
    def model(self) -> Model:
        """The embedding model in force just now."""
        return self.models.current

    async def admission_of(self, template: str, path: str) -> Admission | None:
        """Who lets requests for a model in: the one that this path leads to, if it is loaded."""
        if template == "/v1/actions":
            return self.actions.admission
        if template == "/v1/detections":
            return None if self.detector is None else self.detector.admission
        if not template.endswith("{name}"):
            return (await self.models.taken_up()).queue.admission
        classifier = self.classifiers.loaded(path.rpartition("/")[2])
        return None if classifier is None else classifier.queue.admission

    def close(self) -> None:
        """Finish what runs, then let go of REID_HOME."""
        self._opened.close()


def _search_device(name: str) -> Device | None:
    """The GPU that crops are embedded on, if they are; raises ValueError for a device that is not there."""
    device = resolve_device(name)
    return Device.find(device.index or 0) if device.type == "cuda" else None


def _watch(metrics: Metrics, gallery: Gallery, models: Models) -> None:
    def pending() -> float:
        return float(bool(gallery.pending))

    metrics.watch("reid_model_waiting_images", "images that wait for the model", lambda: models.current.queue.waiting)
    metrics.watch("reid_sightings_indexed", "sightings that a search looks at", lambda: gallery.sightings_indexed)
    metrics.watch("reid_change", "number of the last change", lambda: gallery.change)
    metrics.watch("reid_erasure_pending", "1 while something erased is not gone from the disk", pending)
