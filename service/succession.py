"""What services that are gone for good left undone: another over the same gallery takes it up."""

import logging
import threading
import time
from functools import partial

from reid.errors import ReidError
from service.gallery.gallery import Gallery
from service.gallery.sqlite import jobs as job_table
from service.gallery.sqlite import webhooks as webhook_table
from service.gallery.sqlite.webhooks import Webhook
from service.gallery.sqlite.writing import Writing
from service.jobs import JobRunner
from service.webhooks.courier import Couriers

_LOG = logging.getLogger(__name__)
GONE_S = 60.0  # longer than a service takes to start again
LOOK_S = 5.0


class Succession:
    """Takes over the jobs and the webhooks of services that were silent for `GONE_S`.

    One that was only held up, and comes back, finds that they are not its own any more: what it still does of them is
    not kept, and of an event whose delivery it had begun there may be two. Imports stay where they are: the archive
    lies there.
    """

    def __init__(self, gallery: Gallery, jobs: JobRunner, couriers: Couriers) -> None:
        self._store = gallery.store
        self._jobs = jobs
        self._couriers = couriers
        self._silent_since_s: dict[str, float] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="succession")
        self._thread.start()

    def close(self) -> None:
        """Take over nothing more."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.wait(LOOK_S):
            try:
                for home_id in self._gone():
                    self._take_over(home_id)
            except ReidError as error:  # nobody could be heard, so nobody was silent; the store says it louder
                _LOG.debug("who else is there cannot be asked: %s", error)
                self._silent_since_s.clear()

    def _gone(self) -> list[str]:
        """Homes with something left to do whose service was not heard of for long enough."""
        now_s = time.monotonic()
        with self._store.reading() as reading:
            owing = job_table.homes(reading) | webhook_table.homes(reading)
        silent = owing - self._store.heard() - {self._store.home_id}
        self._silent_since_s = {home_id: self._silent_since_s.get(home_id, now_s) for home_id in silent}
        return [home_id for home_id, since_s in self._silent_since_s.items() if now_s - since_s >= GONE_S]

    def _take_over(self, home_id: str) -> None:
        jobs, webhooks = self._store.write(partial(_change_hands, home_id=home_id, heir=self._store.home_id))
        for webhook in webhooks:
            self._couriers.begin(webhook)
        self._jobs.look()
        _LOG.warning("took over %d jobs and %d webhooks of a service that is gone", jobs, len(webhooks))


def _change_hands(writing: Writing, home_id: str, heir: str) -> tuple[int, list[Webhook]]:
    return job_table.take_over(writing, home_id, heir), webhook_table.take_over(writing, home_id, heir)
