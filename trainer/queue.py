"""A study's cells, each done exactly once by any number of workers on any machines: Optuna's storage as the queue.

Optuna hands a waiting trial to one worker only, but its Journal has no heartbeat: a killed worker's cell would stay
`RUNNING` for ever. So a worker holds a lease on its cell and renews it; a cell whose lease ran out is queued again.
Two who find the same cell lost may both queue it: of one cell's trials that have not failed, the first alone counts.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalRedisBackend, JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from redis.exceptions import RedisError

_LOG = logging.getLogger(__name__)
optuna.logging.set_verbosity(optuna.logging.WARNING)

_CELL, _LEASE = "cell", "lease_until"
LEASE_S = 60.0
_REDIS_SILENT_S = 30  # of no answer, and it is given up: less than a lease


class CellQueue:
    """The numbered cells of one study. `storage` is a Journal file, `redis://…` or a SQL address (PostgreSQL)."""

    def __init__(self, name: str, storage: str, *, lease_s: float = LEASE_S) -> None:
        self.lease_s = lease_s
        self._study = optuna.create_study(study_name=name, storage=_storage(storage), load_if_exists=True)

    def add(self, cells: int) -> None:
        """Queue the cells 0 … `cells` - 1 that were never queued."""
        known = {trial.user_attrs.get(_CELL) for trial in self._study.get_trials(deepcopy=False)}
        for cell in range(cells):
            if cell not in known:
                self._enqueue(cell)

    def has_begun(self) -> bool:
        """Whether cells were ever queued."""
        return bool(self._study.get_trials(deepcopy=False))

    def take(self) -> Iterator[int]:
        """Cells for this worker, each leased while the caller works on it and done when the next is asked for.

        Ends when every cell is done, whoever did it. A cell whose worker raises goes back to the queue.
        """
        while True:
            self._reclaim()
            trial = self._next()
            if trial is not None:
                yield from self._lease(trial)
            elif self._is_done():
                return
            else:
                time.sleep(min(1.0, self.lease_s / 4))

    def done(self) -> set[int]:
        """Cells that are done."""
        finished = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return {trial.user_attrs[_CELL] for trial in finished}

    def _lease(self, trial: Trial) -> Iterator[int]:
        cell = trial.user_attrs[_CELL]
        with self._renewed(trial):
            try:
                yield cell
            except BaseException:
                self._requeue(trial.number, cell)
                raise
        self._study.tell(trial.number, 0.0, skip_if_finished=True)

    def _next(self) -> Trial | None:
        if not self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            return None
        trial = self._study.ask()
        if _CELL not in trial.user_attrs or self._is_double(trial):
            self._fail(trial.number)  # without a cell: another worker took the last that waited, Optuna made one up
            return None
        trial.set_user_attr(_LEASE, time.time() + self.lease_s)
        return trial

    def _is_double(self, trial: Trial) -> bool:
        """Whether an earlier trial of its cell waits, runs or is done."""
        trials = self._trials_by_cell()[trial.user_attrs[_CELL]]
        return any(other.number < trial.number and other.state != TrialState.FAIL for other in trials)

    def _is_done(self) -> bool:
        """Whether every cell is; a trial that was made up may run for ever, and nobody waits for it."""
        return self._trials_by_cell().keys() == self.done()

    def _trials_by_cell(self) -> dict[int, list[FrozenTrial]]:
        trials: dict[int, list[FrozenTrial]] = {}
        for trial in self._study.get_trials(deepcopy=False):
            if _CELL in trial.user_attrs:
                trials.setdefault(trial.user_attrs[_CELL], []).append(trial)
        return trials

    def _reclaim(self) -> None:
        """Queue again what a worker has held beyond its lease, or gave up and did not live to queue again."""
        for cell, trials in self._trials_by_cell().items():
            for trial in trials:
                if trial.state == TrialState.RUNNING and self._expired(trial):
                    self._requeue(trial.number, cell)
            if all(trial.state == TrialState.FAIL and self._is_over(trial.datetime_complete) for trial in trials):
                self._enqueue(cell)

    def _expired(self, trial: FrozenTrial) -> bool:
        """A worker that died between taking a cell and leasing it left no lease: count from when it took it."""
        if _LEASE in trial.user_attrs:
            return bool(trial.user_attrs[_LEASE] < time.time())
        return self._is_over(trial.datetime_start)

    def _is_over(self, since: datetime | None) -> bool:
        """Whether a lease from then on has run out."""
        assert since is not None
        return since.timestamp() + self.lease_s < time.time()

    def _requeue(self, number: int, cell: int) -> None:
        if self._fail(number):
            self._enqueue(cell)

    def _fail(self, number: int) -> bool:
        """Fail a trial, and say whether it was us: it may be done after all, or another worker was first."""
        try:
            self._study.tell(number, state=TrialState.FAIL)
        except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
            return False
        return True

    def _enqueue(self, cell: int) -> None:
        self._study.enqueue_trial({}, user_attrs={_CELL: cell})

    @contextmanager
    def _renewed(self, trial: Trial) -> Iterator[None]:
        """Renew the lease from a thread of its own until the work is over."""
        over = threading.Event()

        def renew() -> None:
            while not over.wait(self.lease_s / 4):
                try:
                    trial.set_user_attr(_LEASE, time.time() + self.lease_s)
                except (RedisError, optuna.exceptions.StorageInternalError, OSError) as error:
                    _LOG.warning("a lease could not be renewed, which will be tried again: %s", error)

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _storage(address: str) -> BaseStorage:
    if address.startswith("redis://"):
        return JournalStorage(JournalRedisBackend(_given_up(address)))
    if "://" in address:
        return RDBStorage(address)
    Path(address).parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(address))


def _given_up(address: str) -> str:
    """A Redis that no longer answers is given up after a while, or after the one that its address names.

    >>> _given_up("redis://studies:6379/0")
    'redis://studies:6379/0?socket_timeout=30'
    >>> _given_up("redis://studies?socket_timeout=5")
    'redis://studies?socket_timeout=5'
    """
    query = urlsplit(address).query
    if "socket_timeout" in parse_qs(query):
        return address
    return f"{address}{'&' if query else '?'}socket_timeout={_REDIS_SILENT_S}"
