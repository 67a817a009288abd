"""The Redis store: what one service writes, all services over the same gallery have."""

import logging
import math
import os
import queue
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from reid.errors import ReidError
from service.gallery.cleanup import Beside, Cleanup
from service.gallery.errors import DamageError, HomeError, StoreError
from service.gallery.home import kept_text, place_of
from service.gallery.redis.address import RedisAddress
from service.gallery.redis.crops import RedisCrops
from service.gallery.redis.erasures import RedisErasures
from service.gallery.redis.errors import AwayError, LostError, TakenError
from service.gallery.redis.folder import SharedFolder
from service.gallery.redis.link import TURN_PAUSE_S, Changes, Link, Place, Said, Service, patiently
from service.gallery.redis.replica import Replica
from service.gallery.sqlite.reading import Reading
from service.gallery.sqlite.scrub import keep_scratch_in
from service.gallery.store import News, Operation, Store, nothing, refused

_LOG = logging.getLogger(__name__)
LAG_S = 0.05  # how often a service looks for what others wrote
LEASE_S = 5.0  # a service that did not hear from Redis for so long answers nothing
_BEAT_S = 1.0
_PATIENCE_S = 5.0  # with a Redis that does not answer a write
_WRITER_S = 10.0  # how long a reader waits for a writer that has yet to follow
_LOSSES = 3  # after so many a transaction that others were faster than is given a turn of its own
_LONGEST_TURN_S = 10.0
_GONE_S = 60.0  # an erasure that nobody finished for so long is anybody's
_CLEANUP_SHARE = 4  # times what cleaning up took, until it is done again
_READERS = 48  # at the same time; each reads for milliseconds, and who finds none free waits for one


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
        beside: Beside,
        follow: Callable[[Reading, News], None],
    ) -> None:
        self.home_id = kept_text(home / "home-id", os.urandom(16).hex())
        self._service = Service(self.home_id, place_of(home))
        keep_scratch_in(home)
        self._news = follow
        self._lost = ""
        self._away = False
        self._checked_s = time.monotonic()
        self._next_look_s = self._next_cleanup_s = 0.0
        self._contact_s = self._said_s = -math.inf  # when it followed all others last, and when it was heard last
        self._said_gone = 0  # of how many erasures the others know that nothing is left here
        self._erased: deque[tuple[int, int]] = deque()  # of the others: their number, and the version before
        with ExitStack() as opened:
            self._link = Link(address, LEASE_S)
            opened.callback(self._link.close)
            self._durability = self._link.check()
            self._replica = Replica(self._link, home, readers=_READERS, breathe=self._breathe)
            opened.callback(self._replica.close)
            self._cleanup = Cleanup(self._replica.taker, beside)
            self._replica.find_or_begin()
            self._be_heard_first()
            self._replica.follow()
            folder = None if address.crops is None else SharedFolder(address.crops, self.home_id)
            self.crops = RedisCrops(self._link, home, folder, lambda: self._replica.version, self._breathe)
            due = self._is_erasure_due()
            if due:  # some of it may have gone from Redis while it was loaded, and is in this copy's file
                self._erased.append((self._cleanup.note(), 0))
            self._beat()
            self._newest_erasure, self._newest_erasure_s = self._replica.version, time.monotonic()
            self._scrubs = RedisErasures(
                *(self._link, self._replica, self._cleanup),
                *(self._say, self._commit),
                newest_erasure=lambda: self._newest_erasure,
                is_removing=lambda: self.crops.is_removing,
                late=due,
            )
            super().__init__(self._replica.writer, self._scrubs, erasure_due=due)
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
        return self._link.heard()

    def look_soon(self) -> None:
        """Follow what others wrote without waiting for the next look."""
        self.submit(nothing)

    def close(self) -> None:
        """As :meth:`Store.close`."""
        super().close()
        try:
            self._link.leave(self._service)
        except StoreError as error:
            _LOG.warning("others wait some seconds for this service, which is gone: %s", error)
        self._opened.close()

    def _reader(self) -> sqlite3.Connection:
        try:
            return self._idle.get(timeout=_WRITER_S)
        except queue.Empty as error:
            raise StoreError(f"expected to read within {_WRITER_S:.0f} s, got no turn among all who read") from error

    def _check_contact(self) -> None:
        if self._lost:
            raise DamageError(self._lost)
        silent_s = time.monotonic() - self._contact_s
        if silent_s > LEASE_S:
            if self._away:
                raise StoreError(f"expected a Redis that answers, got no word of it for {silent_s:.0f} s")
            try:  # the writer was busy, and looks after this
                self.submit(nothing).result(_WRITER_S)
            except TimeoutError as error:
                raise StoreError(f"expected a copy of what Redis holds, got one {silent_s:.0f} s behind") from error

    def _due_in_s(self) -> float | None:
        erasure_s = super()._due_in_s()
        if self._lost:
            return erasure_s
        look_s = max(0.0, self._next_look_s - time.monotonic())
        return look_s if erasure_s is None else min(erasure_s, look_s)

    def _look_around(self) -> None:
        if self._lost or time.monotonic() < self._next_look_s:
            return
        try:
            if self._away or time.monotonic() - self._checked_s >= _BEAT_S:
                self._check_durability()
            self._follow_others()
            self._clean_up()
            if self._cleanup.gone > self._said_gone or time.monotonic() - self._contact_s >= _BEAT_S:
                self._beat()
            self._away = False
        except (LostError, TakenError) as error:
            self._lose(error)
        except (ReidError, sqlite3.Error) as error:
            _LOG.log(logging.DEBUG if self._away else logging.ERROR, "what others wrote cannot be followed: %s", error)
            self._away = True
        self._next_look_s = time.monotonic() + LAG_S

    def _check_durability(self) -> None:
        """What Redis keeps less well than it did is not written into it."""
        try:
            self._durability, self.failure = self._link.check(), None
        except AwayError:
            raise
        except (HomeError, StoreError) as error:  # it is weaker than it was, or does not say
            if self.failure is None:
                _LOG.critical("nothing is written until this is mended: %s", error)
            self.failure = StoreError(str(error))
        self._checked_s = time.monotonic()

    def _be_heard_first(self) -> None:
        """Before anything is taken over, so that erasures wait for this service.

        One that was killed is heard for some seconds more, and may have had this home in another container.
        """
        until_s = time.monotonic() + LEASE_S + 2
        while True:
            try:
                self._say()
            except TakenError:
                if time.monotonic() >= until_s:
                    raise
                time.sleep(LAG_S)
            else:
                return

    def _beat(self) -> None:
        """Be heard, once all others were followed."""
        now_s = time.monotonic()
        self._say()
        self._contact_s = now_s

    def _say(self) -> None:
        """Be heard: what others erased is asked of this service no longer up to that version."""
        gone, now_s = self._cleanup.gone, time.monotonic()
        while self._erased and self._erased[0][0] <= gone:
            self._erased.popleft()
        followed = self._replica.version
        cleaned = self._erased[0][1] if self._erased else followed
        self._link.beat(self._replica.store_id, self._service, cleaned, followed)
        self._said_gone, self._said_s = gone, now_s

    def _breathe(self) -> None:
        """While something takes long: others do not take this service for gone, and keep the log for it."""
        if time.monotonic() - self._said_s < _BEAT_S or not self._replica.store_id:
            return
        try:
            self._say()
        except ReidError as error:
            self._said_s = time.monotonic()
            _LOG.debug("not heard of: %s", error)

    def _lose(self, error: Exception) -> None:
        _LOG.critical("nothing is answered any more: %s", error)
        self._lost = str(error)

    def _clean_up(self) -> None:
        """What was erased goes from what this service keeps; and what nobody cares for any more is finished."""
        started_s = time.monotonic()
        if self._cleanup.gone < self._cleanup.noted and started_s >= self._next_cleanup_s:
            self._cleanup.work()
            ended_s = time.monotonic()
            self._next_cleanup_s = ended_s + _CLEANUP_SHARE * (ended_s - started_s)
        self.crops.settle()
        is_old = started_s - self._newest_erasure_s >= _GONE_S
        is_free = self._scrubs.is_idle and self._is_erasure_due()
        if is_old and is_free and self._link.takes_debt(self.home_id, _GONE_S):
            _LOG.warning("an erasure that another service did not finish is taken up")
            self._scrubs.take_up()

    def _is_erasure_due(self) -> bool:
        found = self._replica.writer.execute("SELECT value FROM counters WHERE name = 'scrub_due'").fetchone()
        return bool(found == (1,))

    def _note_erasure(self, before: int) -> None:
        self._erased.append((self._cleanup.note(), before))
        self._newest_erasure, self._newest_erasure_s = self._replica.version, time.monotonic()

    def _follow_others(self) -> None:
        before = self._replica.version
        news = self._replica.follow()
        if news is None:
            return
        if news.erases or news.everything:
            self._note_erasure(before)
        try:
            self._news(Reading(self._connection), news)
        except (ReidError, sqlite3.Error, ValueError) as error:  # what is searched is not what is kept
            self._lose(error)
            raise DamageError(self._lost) from error

    def _commit(self, group: list[Operation]) -> None:
        request = os.urandom(16).hex()
        try:
            self._keep(group, request)
        except (sqlite3.Error, ReidError) as error:
            self._leave_turn(request)
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if isinstance(error, LostError):
                self._lose(error)
            for item in group:
                item.error = error if isinstance(error, StoreError) else refused(error)
        for item in group:
            self._follow(item)

    def _leave_turn(self, request: str) -> None:
        try:
            self._link.leave_turn(request)
        except ReidError as error:
            _LOG.debug("a turn, if one was taken, ends by itself: %s", error)

    def _keep(self, group: list[Operation], request: str) -> None:
        """Run them, again and again where others were first, until Redis keeps what they write."""
        losses, began_s = 0, time.monotonic()
        while (said := self._said_of(group, request)) != "kept":
            losses += 1
            if said == "wait":
                time.sleep(TURN_PAUSE_S)
            elif losses >= _LOSSES:
                self._link.take_turn(request, min(1 + 2 * (time.monotonic() - began_s), _LONGEST_TURN_S))
            began_s = time.monotonic()
            self._follow_others()
            if began_s - self._contact_s >= _BEAT_S:
                self._beat()

    def _said_of(self, group: list[Operation], request: str) -> Said:
        """Run them once; what Redis says of what they write, of which nothing is left here unless it is kept."""
        if self._lost:
            raise DamageError(self._lost)
        self.check_writes()
        self._replica.begin()
        for item in group:
            item.error = None
            self._run(item)
        changes = self._replica.changes(self.crops.held)
        said = self._sent(request, changes)
        if said != "kept":
            self._connection.execute("ROLLBACK")
            return said
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(f"what was written is kept, but this service cannot follow: {error}") from error
        before = self._replica.version
        if changes.entry:
            self._replica.place = Place(before + 1, request)
        if changes.erases:
            self._note_erasure(before)
        return said

    def _sent(self, request: str, changes: Changes) -> Said:
        replica = self._replica

        def keep() -> Said:
            return self._link.commit(replica.store_id, replica.place, request, changes)

        self.crops.spend(changes.crops, replica.version)
        try:
            said = patiently(keep, 0.0 if self._away else _PATIENCE_S)
        except AwayError as error:
            self._away = True
            raise AwayError(
                f"{error}; whether this was kept is not known: ask again, with the same Idempotency-Key"
            ) from error
        except LostError:
            raise
        except StoreError:
            self.crops.learn(changes.crops, kept=False)
            raise
        self.crops.learn(changes.crops, kept=said == "kept")
        return said
