"""The Redis store: what one service writes, all services over the same gallery have."""

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from reid.errors import ReidError
from service.gallery.errors import DamageError, StoreError
from service.gallery.home import kept_text
from service.gallery.redis.address import RedisAddress
from service.gallery.redis.crops import RedisCrops
from service.gallery.redis.erasures import RedisErasures
from service.gallery.redis.errors import AwayError, LostError
from service.gallery.redis.link import Changes, Link, patiently
from service.gallery.redis.replica import Replica
from service.gallery.sqlite.reading import Reading
from service.gallery.store import News, Operation, Store, nothing, refused

_LOG = logging.getLogger(__name__)
LAG_S = 0.05  # how often a service looks for what others wrote
LEASE_S = 5.0  # a service that did not hear from Redis for so long answers nothing
_BEAT_S = 1.0
_PATIENCE_S = 5.0  # with a Redis that does not answer a write
_READERS = 48  # more than there are threads that read


class RedisStore(Store):
    """A gallery in Redis, with a copy of its tables in this process: all reading is done there.

    A commit is one script that is kept only where the copy is up to date; else the copy follows, and the operations run
    again: they may do nothing but write. `follow` is called on the writer thread with what others wrote. Raises
    HomeError for a Redis that cannot be used, StoreError for one that does not answer.
    """

    largest_group = 32

    def __init__(
        self,
        address: RedisAddress,
        home: Path,
        retire: Callable[[Reading], tuple[str, ...]],
        follow: Callable[[Reading, News], None],
    ) -> None:
        self.home_id = kept_text(home / "home-id", os.urandom(16).hex())
        self._news = follow
        self._retire = retire
        self._files_at: int | None = None  # the version that the files beside the copy followed to, where they lag
        self._lost = ""
        self._away = self._unheard = False
        self._next_look_s = self._contact_s = 0.0
        with ExitStack() as opened:
            self._link = Link(address)
            opened.callback(self._link.close)
            self._durability = self._link.check()
            self._replica = Replica(self._link, home, readers=_READERS)
            opened.callback(self._replica.close)
            self._replica.open()
            self.crops = RedisCrops(self._link, home)
            self._beat()
            found = self._replica.writer.execute("SELECT value FROM counters WHERE name = 'scrub_due'").fetchone()
            due = found == (1,)
            self._newest_erasure = self._replica.version
            erasures = RedisErasures(
                self._link,
                self._replica,
                retire,
                self._commit,
                lambda: self._newest_erasure,
                lease_s=LEASE_S,
                late=due,
            )
            super().__init__(self._replica.writer, erasures, erasure_due=due)
            for reader in self._replica.readers:
                self._idle.put(reader)
            self._opened = opened.pop_all()

    @property
    def durability(self) -> str:
        """What an acknowledged write survives."""
        return self._durability

    @contextmanager
    def reading(self, cameras: frozenset[str] | None = None) -> Iterator[Reading]:
        """As :meth:`Store.reading`; also raises them where Redis lost what it held, or is away for too long."""
        self._check_contact()
        with super().reading(cameras) as reading:
            yield reading

    def count_request(self, key_id: str, per_minute: int) -> float | None:
        """As :meth:`Store.count_request`; raises StoreError where Redis does not answer."""
        return self._link.take(key_id, per_minute)

    def heard(self) -> frozenset[str]:
        """As :meth:`Store.heard`."""
        return self._link.heard(LEASE_S)

    def look_soon(self) -> None:
        """Follow what others wrote without waiting for the next look."""
        self.submit(nothing)

    def close(self) -> None:
        """As :meth:`Store.close`."""
        super().close()
        try:
            self._link.leave(self.home_id)
        except StoreError as error:
            _LOG.warning("others wait some seconds for this service, which is gone: %s", error)
        self._opened.close()

    def _reader(self) -> sqlite3.Connection:
        return self._idle.get()

    def _check_contact(self) -> None:
        if self._lost:
            raise DamageError(self._lost)
        silent_s = time.monotonic() - self._contact_s
        if silent_s > LEASE_S:
            if self._away:
                raise StoreError(f"expected a Redis that answers, got no word of it for {silent_s:.0f} s")
            self.write(nothing)  # the writer was busy, and looks after this

    def _due_in_s(self) -> float | None:
        erasure_s = super()._due_in_s()
        look_s = max(0.0, self._next_look_s - time.monotonic())
        return look_s if erasure_s is None else min(erasure_s, look_s)

    def _look_around(self) -> None:
        if self._lost or time.monotonic() < self._next_look_s:
            return
        try:
            if self._away:
                self._durability = self._link.check()
            self._follow_others()
            self._follow_with_files()
            if self._unheard or time.monotonic() - self._contact_s >= _BEAT_S:
                self._beat()
            self._away = False
        except LostError as error:
            self._lose(error)
        except (ReidError, sqlite3.Error) as error:
            _LOG.log(logging.DEBUG if self._away else logging.ERROR, "what others wrote cannot be followed: %s", error)
            self._away = True
        self._next_look_s = time.monotonic() + LAG_S

    def _beat(self) -> None:
        now_s = time.monotonic()
        followed = self._replica.version if self._files_at is None else self._files_at
        self._link.beat(self._replica.store_id, self.home_id, followed)
        self._contact_s, self._unheard = now_s, False

    def _lose(self, error: ReidError) -> None:
        _LOG.critical("nothing is answered any more: %s", error)
        self._lost = str(error)

    def _follow_with_files(self) -> None:
        """Try again what an erasure by another service left to do here: until then its receipt waits for this one."""
        if self._files_at is not None and not self._retire(Reading(self._connection)):
            self._files_at, self._unheard = None, True

    def _follow_others(self) -> None:
        before = self._replica.version
        news = self._replica.follow()
        if news is None:
            return
        if news.erases or news.everything:
            self._newest_erasure = self._replica.version
            self._files_at = before if self._files_at is None else self._files_at
        try:
            self._news(Reading(self._connection), news)
        except ReidError as error:  # what is searched is not what is kept
            self._lose(error)
            raise

    def _commit(self, group: list[Operation]) -> None:
        request = os.urandom(16).hex()
        try:
            while not self._committed(group, request):
                self._follow_others()
        except (sqlite3.Error, ReidError) as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if isinstance(error, LostError):
                self._lose(error)
            for item in group:
                item.error = error if isinstance(error, StoreError) else refused(error)
        for item in group:
            self._follow(item)

    def _committed(self, group: list[Operation], request: str) -> bool:
        """Run them and have Redis keep what they write; False, and nothing happened, where others were first."""
        if self._lost:
            raise DamageError(self._lost)
        self._replica.begin()
        for item in group:
            item.error = None
            self._run(item)
        erases = any(item.erases and item.error is None for item in group)
        changes = self._replica.changes(self.crops.held, erases=erases)
        if not self._is_kept(request, changes):
            self._connection.execute("ROLLBACK")
            return False
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(f"what was written is kept, but this service cannot follow: {error}") from error
        self._replica.version += bool(changes.entry)
        if erases:
            self._newest_erasure = self._replica.version
            self._unheard = True
        return True

    def _is_kept(self, request: str, changes: Changes) -> bool:
        replica = self._replica

        def keep() -> bool:
            return self._link.commit(replica.store_id, replica.version, request, changes)

        try:
            return patiently(keep, 0.0 if self._away else _PATIENCE_S)
        except AwayError as error:
            self._away = True
            raise StoreError(
                f"{error}; whether this was kept is not known: ask again, with the same Idempotency-Key"
            ) from error
