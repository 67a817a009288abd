"""Erasures in Redis: followed by every service, out of the log, and its files written anew."""

import logging
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from reid.errors import ReidError
from service.gallery.cleanup import Cleanup
from service.gallery.erasures import Erasures, Round
from service.gallery.errors import StoreError
from service.gallery.redis.link import Link
from service.gallery.redis.replica import Replica
from service.gallery.sqlite.writing import Writing
from service.gallery.store import Operation

_LOG = logging.getLogger(__name__)
_LEFT = ("database",)


class _Stage(Enum):
    FOLLOWED = auto()  # wait until no service keeps what was erased
    LOG_FREE = auto()  # wait until Redis is free to write its append-only file anew
    LOG_WRITTEN = auto()
    SNAPSHOT_WRITTEN = auto()


class RedisErasures(Erasures):
    """Those of a service over Redis, one step at a time, so that others write meanwhile.

    `say` tells the others that nothing is left here, `commit` writes into the store, `newest_erasure` is the version of
    the last erasure by any service, and `is_removing` says that crops are being taken away, some at a time. A service
    that was not heard of for a while answers nothing until it has followed.
    """

    def __init__(
        self,
        link: Link,
        replica: Replica,
        cleanup: Cleanup,
        say: Callable[[], None],
        commit: Callable[[list[Operation]], None],
        *,
        newest_erasure: Callable[[], int],
        is_removing: Callable[[], bool],
        late: bool,
    ) -> None:
        super().__init__(replica.writer, cleanup, late=late)
        self._link = link
        self._replica = replica
        self._say = say
        self._commit = commit
        self._newest_erasure = newest_erasure
        self._is_removing = is_removing
        self._stage: _Stage | None = None
        self._version = 0  # up to which all that was erased will be gone
        self._through = 0  # the last round whose erasures are gone from Redis
        self._run_id = ""  # of the Redis that is to write its files

    def take_up(self) -> None:
        """Finish what the service that erased it did not."""
        self._cleanup.note()
        self._owe()
        self._late = True

    def begin(self) -> None:
        """As :meth:`Erasures.begin`; the store has noted it with its version."""
        self._owe()

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return not self._unfinished

    def _is_under_way(self) -> bool:
        return self._is_at_work() or self._is_removing()

    def _is_at_work(self) -> bool:
        return self._stage is not None

    def _elsewhere(self, round_: Round) -> tuple[str, ...]:
        if round_.number <= self._through:
            return ()
        try:
            if self._stage is None:
                self._say()
                self._stage, self._version = _Stage.FOLLOWED, self._replica.version
            while self._is_at_work() and self._is_next():
                pass
        except ReidError as error:
            _LOG.error("Redis could not be scrubbed: %s", error)
            self._stage = None
            return _LEFT
        if self._is_at_work():
            return _LEFT
        self._through = round_.number
        return ()

    def _is_next(self) -> bool:
        """Whether this stage was through, so that another one has begun, or none is left."""
        if self._stage is _Stage.FOLLOWED:
            if 0 <= self._link.slowest() < self._version:
                return False
            self._link.forget(self._version)
            self._stage = _Stage.LOG_FREE
            return True
        server = self._link.server()
        if _is_busy(server):
            return False
        self._go_on(server)
        return True

    def _go_on(self, server: dict[str, Any]) -> None:
        if self._stage is _Stage.LOG_FREE:
            self._run_id = server["run_id"]
            self._link.rewrite_log()
            self._stage = _Stage.LOG_WRITTEN
        elif server["run_id"] != self._run_id:
            self._stage = _Stage.LOG_FREE  # it was started again: what it says of its files, it says of none of those
        elif self._stage is _Stage.LOG_WRITTEN:
            _check(server["aof_last_bgrewrite_status"], "append-only file")
            self._link.save()
            self._stage = _Stage.SNAPSHOT_WRITTEN
        else:
            _check(server["rdb_last_bgsave_status"], "snapshot")
            self._stage = None

    def _complete(self, round_: Round) -> bool:
        def operation(writing: Writing) -> None:
            is_all = self._newest_erasure() <= self._version
            self._write_receipts(writing.connection, round_, is_all=is_all)

        item = Operation(operation)
        self._commit([item])
        if item.error is not None:
            _LOG.error("a receipt could not be written: %s", item.error)
        return item.error is None


def _is_busy(server: dict[str, Any]) -> bool:
    flags = ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")
    return any(server[flag] for flag in flags)


def _check(status: str, what: str) -> None:
    if status != "ok":
        raise StoreError(f"expected Redis to write its {what} anew, got {status!r}: see its log")
