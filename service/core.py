"""What the routes stand on: settings, the gallery, the model and its calibration; opened and closed together."""

from dataclasses import dataclass

from reid.evaluation.calibration import Calibration
from reid.predictors import Embedder
from service.batching import ModelQueue
from service.gallery.gallery import Gallery
from service.settings import Settings


@dataclass(frozen=True)
class Core:
    """One running service. Make it with :meth:`open`."""

    settings: Settings
    gallery: Gallery
    model: ModelQueue

    @classmethod
    def open(cls, settings: Settings) -> "Core":
        """Load the bundle and open the gallery.

        Raises BundleError, HomeError, or ValueError for a device that is not there.
        """
        embedder = Embedder.load(settings.bundle, settings.device)
        gallery = Gallery(settings.home, settings.store_path, embedder.bundle_id, embedder.dimension)
        return cls(settings, gallery, ModelQueue(embedder))

    @property
    def calibration(self) -> Calibration | None:
        """The calibration in force: the bundle's own."""
        return self.model.embedder.bundle.calibration

    def close(self) -> None:
        """Finish what runs, then let go of REID_HOME."""
        self.model.close()
        self.gallery.close()
