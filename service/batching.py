"""A model behind one bounded queue: batches of what waits, each request's images split and joined again."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from reid.precision import Preprocess
from service.admission import Admission, Ticket
from service.decoding import Decoders
from service.gallery.errors import BundleChangedError
from service.metrics import Metrics
from service.problems import DeadlineError

BATCH_IMAGES = 16  # larger ones are slower where the caches of a processor are to hold them
_TOO_LATE = "expected the model's answer in time, got none: it is overloaded"


@dataclass
class _Request:
    """The pixels (N, C, H, W) uint8 of one request, and where its rows come together."""

    pixels: torch.Tensor
    ticket: Ticket
    since_s: float = field(default_factory=time.monotonic)
    rows: dict[int, NDArray[np.float32]] = field(default_factory=dict)  # by the position of the first of them
    future: "Future[NDArray[np.float32]]" = field(default_factory=Future)

    def fail(self, error: Exception) -> None:
        """Raise where the caller waits, if they still do."""
        with suppress(InvalidStateError):  # cancelled just now, or answered
            self.future.set_exception(error)

    def add(self, begin: int, rows: NDArray[np.float32]) -> None:
        """Take some of its rows in; with the last of them the caller has its answer."""
        self.rows[begin] = rows
        if sum(map(len, self.rows.values())) == len(self.pixels):
            with suppress(InvalidStateError):
                self.future.set_result(np.concatenate([self.rows[begin] for begin in sorted(self.rows)]))


Run = Callable[[torch.Tensor], NDArray[np.float32]]


class Pixels(Preprocess, Protocol):
    """What a queue asks of an input's preparation: its size, and images → pixels (N, C, H, W) uint8."""

    def stack(self, images: Sequence[Image.Image]) -> torch.Tensor: ...  # noqa: D102


class ModelQueue:
    """Runs a model on a thread of its own; its copies on several devices each on one.

    A batch is whatever waits when one of them is free. Each of `runs` takes pixels (B, C, H, W) uint8 as `preprocess`
    stacks them and gives rows (B, K) float32. A request whose time runs out is answered so and dropped, and nobody's
    images are computed once nobody waits for them.
    """

    def __init__(
        self,
        preprocess: Pixels,
        runs: Sequence[Run],
        decoders: Decoders,
        metrics: Metrics,
        deadline_s: float,
        admission: Admission | None = None,
    ) -> None:
        self.admission = admission or Admission(metrics, deadline_s)
        self.decoders = decoders
        self._preprocess = preprocess
        self._runs = runs
        self._metrics = metrics
        self._batch_s = 0.0  # what a batch takes
        self._ended_s = 0.0  # when the last one did
        self._changing = threading.Condition()
        self._waiting: deque[tuple[_Request, int]] = deque()  # single images: a request and the position in it
        self._closed = False
        self._threads: list[threading.Thread] = []

    @property
    def waiting(self) -> int:
        """How many images wait for the model."""
        return len(self._waiting)

    def warm_up(self) -> None:
        """Run a full batch of nothing, which is slow the first time, and measure it: before the first request."""
        shape = (BATCH_IMAGES, self._preprocess.channels, self._preprocess.height_px, self._preprocess.width_px)
        pixels = torch.zeros(shape, dtype=torch.uint8)
        for run in self._runs:
            for _ in range(2):
                started_s = time.monotonic()
                run(pixels)
            self._batch_s = max(time.monotonic() - started_s, 1e-6)
        self.admission.measured(len(self._runs) * BATCH_IMAGES / self._batch_s)

    async def compute(self, images: Sequence[Image.Image], ticket: Ticket) -> NDArray[np.float32]:
        """:meth:`rows` of RGB images (N ≥ 1), resized as the model wants them."""
        return await self.rows(self.decoders.run(self._preprocess.stack, images), ticket)

    async def rows(self, pixels: Awaitable[torch.Tensor], ticket: Ticket) -> NDArray[np.float32]:
        """Pixels (N, C, H, W) uint8, N ≥ 1, whose `ticket` has begun → (N, K) float32 rows.

        Raises DeadlineError where the time ran out in spite of all, BundleChangedError once the queue is closed: there
        is another model then. A caller that is cancelled takes its images along.
        """
        try:
            async with asyncio.timeout(ticket.left_s):
                request = _Request(await pixels, ticket)
                with self._changing:
                    if self._closed:
                        raise BundleChangedError("expected the model in force, got one that was replaced: ask again")
                    self._begin()
                    self._waiting.extend((request, position) for position in range(len(request.pixels)))
                    self._changing.notify_all()
                return await asyncio.wrap_future(request.future)
        except TimeoutError as error:
            self._metrics.shed.inc()
            raise DeadlineError(_TOO_LATE) from error

    def close(self) -> None:
        """Finish what waits."""
        with self._changing:
            self._closed = True
            self._changing.notify_all()
        for thread in self._threads:
            thread.join()

    def _begin(self) -> None:
        """With the first images: a start that is given up before them leaves no thread behind."""
        for run in self._runs[len(self._threads) :]:
            thread = threading.Thread(target=self._run, args=[run], name="model")
            thread.start()
            self._threads.append(thread)

    def _run(self, run: Run) -> None:
        while batch := self._next_batch():
            try:
                self._compute(run, batch)
            except Exception as error:  # noqa: BLE001 (raised where the callers wait)
                for request, _ in batch:
                    request.fail(error)

    def _next_batch(self) -> list[tuple[_Request, int]]:
        """Wait for images and take as many as fit, first come first served; none once the queue is closed."""
        with self._changing:
            batch: list[tuple[_Request, int]] = []
            while not batch:
                self._changing.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return []
                while self._waiting and len(batch) < BATCH_IMAGES:
                    request, position = self._waiting.popleft()
                    if self._is_alive(request):
                        batch.append((request, position))
            return batch

    def _is_alive(self, request: _Request) -> bool:
        """Whether anybody waits for it, and would not in vain: a batch that ends too late is as bad as none."""
        if request.ticket.left_s < self._batch_s and not request.future.done():
            self._metrics.shed.inc()
            request.fail(DeadlineError(_TOO_LATE))
        return not request.future.done()

    def _compute(self, run: Run, batch: list[tuple[_Request, int]]) -> None:
        started_s = time.monotonic()
        parts = _parts(batch)
        rows = run(torch.cat([request.pixels[begin:end] for request, begin, end in parts]))
        with self._changing:
            self._measure(batch, started_s, time.monotonic())
            for request, begin, end in parts:
                own, rows = rows[: end - begin], rows[end - begin :]
                request.add(begin, own)

    def _measure(self, batch: list[tuple[_Request, int]], started_s: float, ended_s: float) -> None:
        """Learn the pace at which images leave, decoding and all: from the batch before to this one."""
        since_s = max(self._ended_s, min(request.ticket.begun_s for request, _ in batch))
        pace = len(batch) / max(ended_s - since_s, 1e-6)
        # A small batch says little of what a busy house can do: unless it is busy, it only ever raises the estimate.
        if max(2 * len(batch), self.admission.images) >= BATCH_IMAGES or pace > self.admission.images_per_s:
            self.admission.measured(pace)
            self._batch_s = ended_s - started_s
        self._ended_s = ended_s
        self._metrics.model_seconds.observe(ended_s - started_s)
        self._metrics.model_batch_images.observe(len(batch))
        for request, _ in batch:
            self._metrics.model_wait_seconds.observe(started_s - request.since_s)


def _parts(batch: list[tuple[_Request, int]]) -> list[tuple[_Request, int, int]]:
    """Whose images these are, from which position to which: those of one request follow each other."""
    parts = []
    for _, group in groupby(batch, key=lambda one: id(one[0])):
        own = list(group)
        parts.append((own[0][0], own[0][1], own[-1][1] + 1))
    return parts
