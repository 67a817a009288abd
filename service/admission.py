"""Admission: whether a request can be answered in time, decided when its head arrives, before its body is read."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.metrics import Metrics
from service.problems import QueueFullError

MOST_IMAGES = 1024  # in the house at once: 150 MB at 384 × 128
_SHARE = 0.5  # of the deadline: a pace that was measured is not one that is kept
_SMOOTHING = 0.2  # of the pace: how much one measurement says


class Admission:
    """The images in the house for one model, from a request's head to its answer, and how fast they leave.

    The counts are the event loop's; `measured` is called by the model's thread.
    """

    def __init__(self, metrics: Metrics, deadline_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.images = 0
        self.images_per_s = math.inf  # until it was measured
        self.deadline_s = deadline_s
        self.clock = clock
        self._metrics = metrics

    def arrive(self) -> "Ticket":
        """A request whose head is here: its deadline counts from now."""
        return Ticket(self)

    def measured(self, images_per_s: float) -> None:
        """Take a measurement into account."""
        if math.isinf(self.images_per_s):
            self.images_per_s = images_per_s
        else:
            self.images_per_s += _SMOOTHING * (images_per_s - self.images_per_s)

    def check_room(self, images: int) -> None:
        """Raise QueueFullError unless so many more can be done in time; whoever comes to an empty house is let in."""
        wait_s, share_s = (self.images + images) / self.images_per_s, _SHARE * self.deadline_s
        if self.images and (self.images + images > MOST_IMAGES or wait_s > share_s):
            self._metrics.shed.inc()
            raise QueueFullError(
                f"expected room for {images} more images within {self.deadline_s:g} s, got {self.images} already",
                retry_after_s=max(1, math.ceil(wait_s - share_s)),
            )


class Ticket:
    """One request's place in the house; leave it, however the request ends."""

    def __init__(self, admission: Admission) -> None:
        self.deadline_s = admission.clock() + admission.deadline_s
        self.begun_s = math.inf  # when the images were there, and work on them began
        self._admission = admission
        self._images = 0

    @property
    def left_s(self) -> float:
        """How much time is left; less than nothing once it is too late."""
        return self.deadline_s - self._admission.clock()

    def hold(self, images: int) -> None:
        """Count so many images, known or guessed, in place of those before; raises QueueFullError without room."""
        if images > self._images:
            self._admission.check_room(images - self._images)
        self._admission.images += images - self._images
        self._images = images

    def begin(self, images: int) -> None:
        """:meth:`hold`, now that they are all here."""
        self.hold(images)
        self.begun_s = self._admission.clock()

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """Time in here is not the request's own, such as loading a model that nobody asked for before."""
        begun_s = self._admission.clock()
        yield
        self.deadline_s += self._admission.clock() - begun_s

    def leave(self) -> None:
        """Make room. Leaving twice is leaving once."""
        self.hold(0)
