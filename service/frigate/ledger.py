"""Which events are settled, on disk: what was done before a restart is not looked at again."""

import json
import os
from pathlib import Path

from reid.errors import ReidError

OVERLAP_S = 3600.0
"""Events appear late: listed by their beginning, once they have a snapshot. So much is looked at again."""


class LedgerError(ReidError):
    """A ledger that cannot be read."""


class Ledger:
    """A file of the newest beginning that was settled, and the ids of the events settled within the last hour of it."""

    def __init__(self, path: Path) -> None:
        """Raise :class:`LedgerError` for a file of another form."""
        self._path = path
        self._settled: dict[str, float] = {}
        if path.exists():
            try:
                self._settled = {str(key): float(began) for key, began in json.loads(path.read_text()).items()}
            except (ValueError, AttributeError, TypeError) as error:
                raise LedgerError(f"{path}: expected a ledger of events, got something else") from error

    @property
    def after(self) -> float:
        """From when on events must be looked at; 0 at the very beginning."""
        return max(0.0, max(self._settled.values(), default=0.0) - OVERLAP_S)

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._settled

    def settle(self, event_id: str, began: float) -> None:
        """Remember an event, durably, and forget those that are not listed any more."""
        self._settled[event_id] = began
        after = self.after
        self._settled = {key: start for key, start in self._settled.items() if start >= after}
        temporary = self._path.with_suffix(".new")
        with temporary.open("w") as file:
            json.dump(self._settled, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
