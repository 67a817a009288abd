"""Which events are settled, on disk: what was done before a restart is not looked at again, and what was not is."""

import json
import os
from collections.abc import Set as AbstractSet
from pathlib import Path

from reid.errors import ReidError

OVERLAP_S = 3600.0
"""Events appear late: listed by their beginning, once they have a snapshot. So much is looked at again."""


class LedgerError(ReidError):
    """A ledger that cannot be read."""


class Ledger:
    """A file of the events settled within the last hour of the newest, and of those that were seen and wait."""

    def __init__(self, path: Path) -> None:
        """Raise :class:`LedgerError` for a file of another form."""
        self._path = path
        self._settled: dict[str, float] = {}
        self._waiting: frozenset[str] = frozenset()
        if path.exists():
            try:
                kept = json.loads(path.read_text())
                self._settled = {str(key): float(began) for key, began in kept["settled"].items()}
                self._waiting = frozenset(map(str, kept["waiting"]))
            except (ValueError, AttributeError, KeyError, TypeError) as error:
                raise LedgerError(
                    f"{path}: expected a ledger of events, got something else; without it nobody is enrolled twice"
                ) from error

    @property
    def after(self) -> float:
        """From when on events must be listed; 0 at the very beginning."""
        return max(0.0, max(self._settled.values(), default=0.0) - OVERLAP_S)

    @property
    def waiting(self) -> frozenset[str]:
        """Events that were seen and are not settled, however long ago they began."""
        return self._waiting

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._settled

    def wait_for(self, event_ids: AbstractSet[str]) -> None:
        """Remember, durably, that these wait, too."""
        self._wait(self._waiting | event_ids)

    def forget(self, event_id: str) -> None:
        """Of an event that is no more: it does not wait any longer."""
        self._wait(self._waiting - {event_id})

    def _wait(self, event_ids: frozenset[str]) -> None:
        if event_ids != self._waiting:
            self._waiting = event_ids
            self._write()

    def settle(self, event_id: str, began: float) -> None:
        """Remember an event, durably, and forget those that are not listed any more."""
        self._waiting -= {event_id}
        self._settled[event_id] = began
        after = self.after
        self._settled = {key: start for key, start in self._settled.items() if start >= after}
        self._write()

    def _write(self) -> None:
        temporary = self._path.with_suffix(".new")
        with temporary.open("w") as file:
            json.dump({"settled": self._settled, "waiting": sorted(self._waiting)}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
