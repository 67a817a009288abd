"""The thread that takes jobs up, in the order they were asked for."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from reid.errors import ReidError
from service.gallery.errors import StoreError
from service.gallery.gallery import Gallery
from service.gallery.records import Actor, Once, Written, new_id
from service.gallery.sqlite import jobs as table
from service.gallery.sqlite.jobs import OPEN, Job, Outcome, Viewer
from service.gallery.sqlite.reading import Reading
from service.gallery.sqlite.writing import Writing
from service.idempotency import run_once
from service.keys import Scope
from service.problems import QueueFullError

_LOG = logging.getLogger(__name__)
T = TypeVar("T")
MOST_OPEN = 64
RETRY_S = 1.0  # after the store refused


class CancelledError(Exception):
    """Raised inside a job that was cancelled, erased, or is to go on after the next start."""


@dataclass
class Task:
    """One attempt at a job, as its handler sees it."""

    job_id: str
    actor: Actor
    request: dict[str, Any]
    home_id: str = ""  # of the service that does it
    progress: float = 0.0  # 0 to 1
    _stopped: threading.Event = field(default_factory=threading.Event)

    def step(self, done: int, total: int) -> None:
        """Say how far it got; raises CancelledError where the job must stop. Call it between steps."""
        self.progress = done / total if total else 1.0
        if self._stopped.is_set():
            raise CancelledError

    def check_wanted(self, reading: Reading) -> None:
        """Raise CancelledError if it was cancelled or taken over; in the transaction that decides, for single acts."""
        if not table.is_running(reading, self.job_id, self.home_id):
            raise CancelledError

    def stop(self) -> None:
        """Have the next :meth:`step` raise."""
        self._stopped.set()


Handler = Callable[[Task], Outcome]


@dataclass(frozen=True)
class Kind:
    """A kind of job: the scope that starting and seeing it needs, and what does it.

    A handler may be run again from its beginning, after a crash or an erasure: it must then lead to the same end.
    What it raises as ReidError or ValueError is the job's reason to have failed.
    """

    scope: Scope
    handler: Handler


class JobRunner:
    """Runs the jobs of a gallery's store. What was running when the service ended is taken up again at its start.

    A job that was interrupted `MOST_ATTEMPTS` times fails: it may be what ends the service. A clean end of the
    service is not held against it. A job that speaks of somebody who is erased while it runs is run again.
    """

    def __init__(self, gallery: Gallery, kinds: Mapping[str, Kind]) -> None:
        self.kinds = kinds
        self._gallery = gallery
        self._due = threading.Event()  # something may wait, or the end has come
        self._due.set()
        self._closing = threading.Event()
        self._current: tuple[str, Task] | None = None
        gallery.store.write(partial(table.put_back, which=gallery.store.home_id, counted=True))
        self._thread = threading.Thread(target=self._run, name="jobs")
        self._thread.start()

    def start(
        self,
        actor: Actor,
        kind: str,
        request: dict[str, Any],
        mentions: frozenset[str] = frozenset(),
        once: Once[Job] | None = None,
        job_id: str | None = None,
    ) -> Written[Job]:
        """Keep a job; it runs once those before it are done. Raises QueueFullError when too many wait already.

        `job_id` is its id where that had to be known before.
        """

        def add(writing: Writing) -> Job:
            if table.count_open(writing) >= MOST_OPEN:
                raise QueueFullError(f"expected at most {MOST_OPEN} jobs to wait, got one more")
            writing.note(actor, kind, None, 1, None)
            scope, home_id = self.kinds[kind].scope, self._gallery.store.home_id
            return table.add_job(writing, actor, kind, scope, request, mentions, job_id or new_id(), home_id)

        def operation(writing: Writing) -> Written[Job]:
            return run_once(writing, actor, once, partial(add, writing), mentions)

        written = self._gallery.store.write(operation, actor.cameras)
        self._due.set()
        return written

    def look(self) -> None:
        """There may be a job that was not asked for here."""
        self._due.set()

    def remove(self, job_id: str, viewer: Viewer) -> Job | None:
        """Cancel a job that waits or runs, and return it; forget one that has ended. Raises NotFoundError."""

        def operation(writing: Writing) -> Job | None:
            job = table.seen_job(writing, job_id, viewer)
            if job.state not in OPEN:
                table.forget(writing, job)
                return None
            table.end(writing, job, "cancelled", None)
            return table.find_job(writing, job_id)

        job = self._gallery.store.write(operation)
        self._stop(job_id)
        self._tidy()
        return job

    def progress(self, job: Job) -> float:
        """How much of a job is done, 0 to 1."""
        current = self._current
        if job.state == "running" and current is not None and current[0] == job.job_id:
            return current[1].progress
        return 1.0 if job.state == "done" else 0.0

    def close(self) -> None:
        """Stop at the next step; what runs waits for the next start."""
        self._closing.set()
        self._due.set()
        current = self._current
        if current is not None:
            current[1].stop()
        self._thread.join()

    def _stop(self, job_id: str) -> None:
        current = self._current
        if current is not None and current[0] == job_id:
            current[1].stop()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._due.wait()
            self._due.clear()
            next_one = partial(table.take_next, home_id=self._gallery.store.home_id)
            while not self._closing.is_set() and (job := self._written(next_one)) is not None:
                self._attempt(job)

    def _attempt(self, job: Job) -> None:
        assert job.request is not None
        task = Task(job.job_id, job.actor, job.request, job.home_id)
        self._current = (job.job_id, task)
        if self._closing.is_set():  # it asked for the current task before there was this one
            task.stop()
        try:
            self._written(self._outcome(job, task))
        except Exception:  # noqa: BLE001 (a bug of ours: logged, and the jobs behind it go on)
            _LOG.exception("a job of kind %s failed", job.kind)
            reason = "the service failed; its log says more"
            self._written(partial(table.end, job=job, state="failed", reason=reason))
        finally:
            self._current = None
            self._tidy()

    def _tidy(self) -> None:
        """Let go of the archives of jobs that ended."""
        try:
            self._gallery.sweep_archives()
        except StoreError as error:
            _LOG.error("archives wait for the store: %s", error)

    def _outcome(self, job: Job, task: Task) -> Callable[[Writing], object]:
        """Do the job; what is to be written of how it ended."""
        try:
            return partial(table.finish, job=job, outcome=self.kinds[job.kind].handler(task))
        except CancelledError:
            return partial(table.put_back, which=job, counted=False)
        except (ReidError, ValueError) as error:
            return partial(table.end, job=job, state="failed", reason=str(error))

    def _written(self, operation: Callable[[Writing], T]) -> T | None:
        """Write, again and again while the store refuses; None where the service ends before.

        Without that one refusal, of a disk that was full for a moment, would hold up all jobs until the next is asked
        for. A job whose end could not be written counts as interrupted at the next start.
        """
        while True:
            try:
                return self._gallery.store.write(operation)
            except StoreError as error:
                _LOG.error("jobs wait for the store: %s", error)
                if self._closing.wait(RETRY_S):
                    return None
