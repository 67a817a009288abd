"""Bundles of one kind that are loaded when they are first asked for, each behind a queue of its own, and kept."""

import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from reid.bundle import Arguments, Bundle, Kind, Preprocess
from service.batching import ModelQueue
from service.bundles import bundles, folders
from service.decoding import Decoders
from service.gallery.errors import NotFoundError
from service.metrics import Metrics
from service.problems import DeadlineError
from service.settings import Settings


class Served(Protocol):
    """A loaded bundle, and the queue in front of it."""

    @property
    def queue(self) -> ModelQueue: ...  # noqa: D102 - the class says it


Loaded = TypeVar("Loaded", bound=Served)


class OnDemand(ABC, Generic[Loaded, Arguments, Preprocess]):
    """Those on disk of a `kind`, told of as `noun`. Safe to call from any thread."""

    def __init__(
        self,
        kind: Kind[Arguments, Preprocess, Any],
        noun: str,
        settings: Settings,
        decoders: Decoders,
        metrics: Metrics,
    ) -> None:
        self._kind, self._noun = kind, noun
        self._settings = settings
        self._decoders = decoders
        self._metrics = metrics
        self._loading = threading.Lock()
        self._loaded: dict[str, Loaded] = {}
        self._closed = False

    def on_disk(self) -> dict[str, Bundle[Arguments, Preprocess]]:
        """By name."""
        return {name: bundle for name, bundle in bundles(self._settings.home).items() if bundle.kind == self._kind.name}

    def loaded(self, name: str) -> Loaded | None:
        """One that was asked for before."""
        return self._loaded.get(name)

    def load(self, name: str) -> Loaded:
        """The one of that name, loaded unless it is already; raises NotFoundError, BundleError, DeadlineError."""
        with self._loading:
            if self._closed:
                raise DeadlineError("expected a service that goes on, got one that ends")
            if name not in self._loaded:
                if name not in self.on_disk():
                    raise NotFoundError(f"expected {self._noun} that exists, got {name!r}")
                self._loaded[name] = self._open(folders(self._settings.home)[name])
            return self._loaded[name]

    def close(self) -> None:
        """Finish what waits, and load nothing more."""
        with self._loading:
            self._closed = True
        for one in self._loaded.values():
            one.queue.close()

    @abstractmethod
    def _open(self, folder: Path) -> Loaded:
        """Load a bundle, its queue warm."""
