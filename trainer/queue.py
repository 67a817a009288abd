"""A study's cells, each done exactly once by any number of workers on any machines: Optuna's storage as the queue.

Optuna hands a waiting trial to one worker only, but its Journal has no heartbeat: a killed worker's cell would stay
`RUNNING` for ever. So a worker holds a lease on its cell and renews it; a cell whose lease ran out is queued again.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalRedisBackend, JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState

optuna.logging.set_verbosity(optuna.logging.WARNING)

_CELL, _LEASE = "cell", "lease_until"
LEASE_S = 60.0


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
                self._study.enqueue_trial({}, user_attrs={_CELL: cell})

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
            elif self._count(TrialState.RUNNING, TrialState.WAITING):
                time.sleep(min(1.0, self.lease_s / 4))
            else:
                return

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
        if not self._count(TrialState.WAITING):
            return None
        trial = self._study.ask()
        if _CELL in trial.user_attrs:
            trial.set_user_attr(_LEASE, time.time() + self.lease_s)
            return trial
        self._study.tell(trial, state=TrialState.FAIL)  # another worker took the last cell: Optuna made up a trial
        return None

    def _reclaim(self) -> None:
        """Queue again what a worker has held beyond its lease."""
        for trial in self._study.get_trials(states=(TrialState.RUNNING,)):
            if _CELL in trial.user_attrs and self._expired(trial):
                self._requeue(trial.number, trial.user_attrs[_CELL])

    def _expired(self, trial: FrozenTrial) -> bool:
        """A worker that died between taking a cell and leasing it left no lease: count from when it took it."""
        assert trial.datetime_start is not None
        until: float = trial.user_attrs.get(_LEASE, trial.datetime_start.timestamp() + self.lease_s)
        return until < time.time()

    def _requeue(self, number: int, cell: int) -> None:
        try:
            self._study.tell(number, state=TrialState.FAIL)
        except (ValueError, optuna.exceptions.UpdateFinishedTrialError):
            return  # done after all, or another worker was first to queue it again
        self._study.enqueue_trial({}, user_attrs={_CELL: cell})

    def _count(self, *states: TrialState) -> int:
        return len(self._study.get_trials(deepcopy=False, states=states))

    @contextmanager
    def _renewed(self, trial: Trial) -> Iterator[None]:
        """Renew the lease from a thread of its own until the work is over."""
        over = threading.Event()

        def renew() -> None:
            while not over.wait(self.lease_s / 4):
                trial.set_user_attr(_LEASE, time.time() + self.lease_s)

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _storage(address: str) -> BaseStorage:
    if address.startswith("redis://"):
        return JournalStorage(JournalRedisBackend(address))
    if "://" in address:
        return RDBStorage(address)
    Path(address).parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(address))
