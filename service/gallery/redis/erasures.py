"""Erasures in Redis: followed by every service, out of the log, and its files written anew."""

import logging
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from service.gallery.erasures import Erasures
from service.gallery.errors import StoreError
from service.gallery.records import Moment
from service.gallery.redis.link import Link
from service.gallery.redis.replica import Replica
from service.gallery.sqlite.reading import Reading
from service.gallery.sqlite.writing import Writing
from service.gallery.store import Operation

_LOG = logging.getLogger(__name__)


class _Stage(Enum):
    FOLLOWED = auto()  # wait until no service knows what was erased
    LOG_FREE = auto()  # wait until Redis is free to write its append-only file anew
    LOG_WRITTEN = auto()
    SNAPSHOT_WRITTEN = auto()


class RedisErasures(Erasures):
    """Those of a service over Redis, one step at a time, so that others write meanwhile.

    `commit` writes into the store, `newest_erasure` is the version of the last erasure by any service, and a service
    that was not heard of for `lease_s` answers nothing until it has followed.
    """

    def __init__(
        self,
        link: Link,
        replica: Replica,
        retire: Callable[[Reading], tuple[str, ...]],
        commit: Callable[[list[Operation]], None],
        newest_erasure: Callable[[], int],
        *,
        lease_s: float,
        late: bool,
    ) -> None:
        super().__init__(late=late)
        self._link = link
        self._replica = replica
        self._retire = retire
        self._commit = commit
        self._newest_erasure = newest_erasure
        self._lease_s = lease_s
        self._stage: _Stage | None = None
        self._version = 0
        self._receipts: list[str] = []

    def _unretired(self) -> tuple[str, ...]:
        return self._retire(Reading(self._replica.writer))

    def _is_under_way(self) -> bool:
        return self._stage is not None

    def _scrub(self) -> bool:
        try:
            if self._stage is None and self._unscrubbed:
                self._begin()
            while self._stage is not None and self._step(self._stage):
                pass
            if self._stage is None and self._unscrubbed:
                self._begin()  # what was erased meanwhile takes another round
        except StoreError as error:
            _LOG.error("Redis could not be scrubbed: %s", error)
            self._stage, self._unscrubbed = None, True
        return self._stage is None and not self._unscrubbed

    def _begin(self) -> None:
        """What is erased by now will be gone: the receipts that wait are those of this round."""
        self._unscrubbed = False
        self._stage, self._version = _Stage.FOLLOWED, self._replica.version
        found = self._replica.writer.execute("SELECT receipt_id FROM receipts WHERE completed_at_us IS NULL")
        self._receipts = [receipt_id for (receipt_id,) in found]

    def _step(self, stage: _Stage) -> bool:
        """Go on to the next stage, if this one is through."""
        if stage is _Stage.FOLLOWED:
            if 0 <= self._link.slowest(self._lease_s + 1) < self._version:
                return False
            self._link.forget(self._version)
            self._stage = _Stage.LOG_FREE
            return True
        files = self._link.persistence()
        if _is_busy(files):
            return False
        if stage is _Stage.LOG_FREE:
            self._link.rewrite_log()
            self._stage = _Stage.LOG_WRITTEN
        elif stage is _Stage.LOG_WRITTEN:
            _check(files["aof_last_bgrewrite_status"], "append-only file")
            self._link.save()
            self._stage = _Stage.SNAPSHOT_WRITTEN
        else:
            _check(files["rdb_last_bgsave_status"], "snapshot")
            self._stage = None
        return True

    def _complete(self) -> bool:
        def operation(writing: Writing) -> None:
            writing.connection.executemany(
                "UPDATE receipts SET completed_at_us = ?, late = ? WHERE receipt_id = ? AND completed_at_us IS NULL",
                [(Moment.now().us, self._late, receipt_id) for receipt_id in self._receipts],
            )
            if self._newest_erasure() <= self._version:
                writing.connection.execute("UPDATE counters SET value = 0 WHERE name = 'scrub_due'")

        item = Operation(operation)
        self._commit([item])
        if item.error is not None:
            _LOG.error("a receipt could not be written: %s", item.error)
        return item.error is None


def _is_busy(files: dict[str, Any]) -> bool:
    flags = ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")
    return any(files[flag] for flag in flags)


def _check(status: str, what: str) -> None:
    if status != "ok":
        raise StoreError(f"expected Redis to write its {what} anew, got {status!r}: see its log")
