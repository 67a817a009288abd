"""Retention in the background: a gallery's rules applied, and old jobs forgotten, while the service runs."""

import logging
import threading

from service.gallery.errors import StoreError
from service.gallery.gallery import Gallery
from service.gallery.records import Moment
from service.gallery.sqlite.jobs import forget_old

_LOG = logging.getLogger(__name__)
EVERY_S = 600.0


class RetentionRunner:
    """A thread that applies the rules at once and then every `every_s` seconds, until :meth:`close`."""

    def __init__(self, gallery: Gallery, every_s: float = EVERY_S) -> None:
        self._gallery = gallery
        self._every_s = every_s
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention")
        self._thread.start()

    def close(self) -> None:
        """Finish what is being deleted, and stop. Call before the gallery is closed."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._gallery.store.write(forget_old)
                done = self._gallery.apply_retention(Moment.now(), until=self._closing.is_set)
                if done.value:
                    _LOG.info("retention deleted %d sightings", done.value)
                self._gallery.sweep_archives()
            except StoreError as error:
                _LOG.error("retention was stopped, and will be tried again: %s", error)
            self._closing.wait(self._every_s)
