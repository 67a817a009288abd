"""The connection to Redis: every key and every command of a gallery."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeVar, get_args

import redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.exceptions import ClusterDownError, MovedError, RedisClusterException, TryAgainError
from redis.retry import Retry

from service.gallery.errors import HomeError, StoreError
from service.gallery.redis import scripts
from service.gallery.redis.address import Fsync, RedisAddress
from service.gallery.redis.errors import AwayError, LostError, TakenError
from service.gallery.sqlite.schema import RECORDS_VERSION

T = TypeVar("T")
ENTRIES_KEPT = 10_000  # of the log: a service that is further behind loads everything anew,
_MOST_ENTRIES = 200_000  # but one that does so just now needs those since it began
TURN_PAUSE_S = 0.01  # of those whose turn it is not
_ENTRIES_AT_ONCE = 500
_ROWS_AT_ONCE = 1_000
_CONNECT_S, _ANSWER_S = 2.0, 3.0
_AWAY = (
    *(redis.ConnectionError, redis.TimeoutError),
    *(RedisClusterException, ClusterDownError, MovedError, TryAgainError),
)
_DURABLE: dict[Fsync, str] = {
    "always": "a power cut",
    "everysec": "the end of the service; a power cut of Redis may take the last second",
    "no": "the end of the service; a power cut of Redis may take half a minute",
}


@dataclass(frozen=True)
class Changes:
    """What one commit writes: rows by table and key as they are now, crops by sha256; None: gone."""

    rows: dict[tuple[str, str], bytes | None] = field(default_factory=dict)
    crops: dict[str, bytes | None] = field(default_factory=dict)
    erases: bool = False

    @property
    def entry(self) -> str:
        """What the log says of it: which rows it touched. Empty where nothing was written."""
        touched: dict[str, list[str]] = {}
        for table, key in self.rows:
            touched.setdefault(table, []).append(key)
        return json.dumps({"erases": self.erases, "touched": touched}) if touched else ""


@dataclass(frozen=True)
class Entry:
    """What a commit touched, as the log says it."""

    erases: bool
    touched: dict[str, list[str]]


@dataclass(frozen=True)
class Place:
    """How far a copy is: after how many commits, and the request that made the last of them (empty: not known)."""

    version: int = 0
    request: str = ""


@dataclass(frozen=True)
class Head:
    """Where a gallery is: which store, how many commits, from which on the log tells.

    `request` made the version that was asked about (empty: not known), `entries` are those after it.
    """

    store_id: str
    version: int
    floor: int
    request: str
    entries: list[Entry]


@dataclass(frozen=True)
class Service:
    """Who is heard: the id of a home, and a digest of where it lies. A copy of a home lies elsewhere."""

    home_id: str
    place: str


Said = Literal["kept", "behind", "wait"]  # of a commit: it is, others were first, or it is another's turn


class Link:
    """One service's connection to its gallery. Safe from any thread. `lease_s` is how long a service counts as heard.

    Raises AwayError where Redis does not answer, StoreError where it refuses.
    """

    def __init__(self, address: RedisAddress, lease_s: float = 5.0) -> None:
        self._address = address
        self._lease_s = lease_s
        self._client = _client(address)
        names = ("BEGIN", "COMMIT", "LEAVE_TURN", "NEWS", "BEAT", "LEAVE", "SLOWEST", "HEARD", "FORGET", "TAKE")
        self._scripts = {name: self._client.register_script(getattr(scripts, name)) for name in names}

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def check(self) -> str:
        """What an acknowledged write survives here; raises HomeError for a Redis that may lose what it holds."""
        wanted = ("appendonly", "appendfsync", "maxmemory-policy")
        found = {name.decode(): value.decode() for name, value in self._ask(lambda: self._config(wanted)).items()}
        if found["maxmemory-policy"] != "noeviction":
            raise HomeError(f"expected a Redis with maxmemory-policy noeviction, got {found['maxmemory-policy']}")
        strict: tuple[Fsync, ...] = get_args(Fsync)
        fsync = next(one for one in strict if one == found["appendfsync"]) if found["appendonly"] == "yes" else None
        if fsync is None or strict.index(fsync) > strict.index(self._address.fsync):
            raise HomeError(
                f"expected a Redis with appendonly yes and appendfsync {self._address.fsync}, got appendonly"
                f" {found['appendonly']} and appendfsync {found['appendfsync']}; REID_REDIS_FSYNC can accept less"
            )
        return _DURABLE[fsync]

    def begin(self, store_id: str, changes: Changes) -> None:
        """Make a new gallery of these rows, unless there is one."""
        keys, records = self._records(changes, [self._key(name) for name in ("head", "doomed")])
        self._script("BEGIN", keys, [store_id, RECORDS_VERSION, *records])

    def commit(self, store_id: str, place: Place, request: str, changes: Changes) -> Said:
        """Write what belongs after `place`, or nothing.

        The same `request` again is kept once. Raises LostError where Redis is not where it was.
        """
        keys = [self._key(name) for name in ("head", "log", "requests", "turn", "services", "doomed")]
        keys, records = self._records(changes, keys)
        limits = [ENTRIES_KEPT, _MOST_ENTRIES, self._lease_s + 1]
        values = [store_id, place.version, place.request, request, changes.entry, *limits, *records]
        said = self._script("COMMIT", keys, values).decode()
        if said == "lost":
            raise _lost(place)
        outcome: Said = said
        return outcome

    def take_turn(self, request: str, for_s: float) -> None:
        """Let no other request be kept until this one is, or the time is over; unless another has its turn."""
        self._ask(lambda: self._client.set(self._key("turn"), request, nx=True, px=round(1000 * for_s)))

    def leave_turn(self, request: str) -> None:
        """It is not to be kept any more."""
        self._script("LEAVE_TURN", [self._key("turn")], [request])

    def takes_debt(self, home_id: str, for_s: float) -> bool:
        """Whether it is this service that finishes what another left undone; the others wait that long for it."""
        key, for_ms = self._key("debt"), round(1000 * for_s)
        taker = self._ask(lambda: self._client.set(key, home_id, nx=True, px=for_ms, get=True))
        return taker in (None, home_id.encode())

    def head(self, place: Place = Place()) -> Head | None:
        """Where the gallery is, and some entries after `place`; None: there is none. Raises HomeError, LostError."""
        keys = [self._key(name) for name in ("head", "log", "requests")]
        found = self._script("NEWS", keys, [place.version, _ENTRIES_AT_ONCE])
        if not found:
            return None
        store_id, newest, floor, schema, made_by, entries = found
        if int(schema) != RECORDS_VERSION:
            raise HomeError(
                f"the gallery in Redis is of another version: expected schema {RECORDS_VERSION}, got {int(schema)}"
            )
        request = made_by.decode()
        if int(newest) < place.version or (request and place.request and request != place.request):
            raise _lost(place)
        told = [Entry(**json.loads(entry)) for entry in entries]
        return Head(store_id.decode(), int(newest), int(floor), request, told)

    def rows(self, table: str, keys: Sequence[str]) -> list[bytes | None]:
        """Rows of a table as they are now."""
        found: list[bytes | None] = []
        for start in range(0, len(keys), _ROWS_AT_ONCE):
            some = list(keys[start : start + _ROWS_AT_ONCE])
            found += self._ask(partial(self._client.hmget, self._rows(table), some))
        return found

    def all_rows(self, table: str) -> Iterator[list[bytes]]:
        """Every row of a table that is there all the while, some at a time; a row may come twice."""
        cursor = 0
        while True:
            cursor, some = self._ask(partial(self._client.hscan, self._rows(table), cursor, count=_ROWS_AT_ONCE))
            yield list(some.values())
            if cursor == 0:
                return

    def crops(self, hashes: Sequence[str]) -> list[bytes | None]:
        """What is kept of crops."""
        found: list[bytes | None] = []
        for start in range(0, len(hashes), _ROWS_AT_ONCE):
            keys = [self._crop(sha256) for sha256 in hashes[start : start + _ROWS_AT_ONCE]]
            found += self._ask(partial(self._client.mget, keys))
        return found

    def say_crops_are_files(self) -> None:
        """From now on whoever has no folder for crops cannot serve this gallery."""
        self._ask(lambda: self._client.hset(self._key("head"), "crops", "files"))

    def are_crops_files(self) -> bool:
        """Whether any service said so."""
        return bool(self._ask(lambda: self._client.hexists(self._key("head"), "crops")))

    def doomed_files(self) -> list[str]:
        """Some of the crops in the folder that commits let go of, and that may still be there."""
        found = self._ask(lambda: self._client.lrange(self._key("doomed"), 0, _ROWS_AT_ONCE - 1))
        return [name.decode() for name in found]

    def forget_files(self, names: Sequence[str]) -> None:
        """They are gone from the folder."""
        with self._client.pipeline(transaction=False) as asked:
            for name in names:
                asked.lrem(self._key("doomed"), 1, name)
            self._ask(asked.execute)

    def beat(self, store_id: str, service: Service, cleaned: int, followed: int) -> None:
        """Say that this service is there, up to which version it followed, and up to which it has nothing erased left.

        Raises LostError, and TakenError where a service of the same home, but elsewhere, was heard of just now.
        """
        keys = [self._key(name) for name in ("head", "services")]
        said = self._script(
            "BEAT", keys, [store_id, service.home_id, cleaned, followed, service.place, self._lease_s + 1]
        )
        if said == b"lost":
            raise _lost(Place(followed))
        if said == b"taken":
            raise TakenError(
                "expected a REID_HOME of its own, got a copy of one that another service uses just now: remove the file"
                " home-id from the copy"
            )

    def leave(self, service: Service) -> None:
        """Say that this service is gone: nobody waits for it any more."""
        self._script("LEAVE", [self._key("services")], [service.home_id, service.place])

    def heard(self) -> frozenset[str]:
        """The homes of the services that were heard of just now."""
        return frozenset(home.decode() for home in self._script("HEARD", [self._key("services")], [self._lease_s]))

    def take(self, key_id: str, per_minute: int) -> float:
        """Count a request of that key, of whichever service: 0, or how many seconds it comes too early."""
        return float(self._script("TAKE", [self._key(f"limit:{key_id}")], [per_minute]))

    def slowest(self) -> int:
        """The lowest version up to which any service that was heard of has nothing erased left; -1: none was."""
        return int(self._script("SLOWEST", [self._key("services")], [self._lease_s + 1]))

    def forget(self, version: int) -> None:
        """Take the entries of commits up to `version` out of the log."""
        self._script("FORGET", [self._key(name) for name in ("head", "log")], [version])

    def rewrite_log(self) -> None:
        """Have the append-only file written anew, without what is gone."""
        self._ask(lambda: self._client.bgrewriteaof(**self._node))

    def save(self) -> None:
        """Have the snapshot written anew: one of before would hold what is gone."""
        self._ask(lambda: self._client.bgsave(schedule=False, **self._node))

    def server(self) -> dict[str, Any]:
        """What Redis says of itself: among it its `run_id`, another one at each start, and the state of its files."""
        found: dict[str, Any] = self._ask(lambda: self._client.info(**self._node))
        return found

    @property
    def _node(self) -> dict[str, Any]:
        """Which node a command without a key is for: in a cluster that which has the gallery."""
        if not isinstance(self._client, RedisCluster):
            return {}
        cluster: Any = self._client
        return {"target_nodes": cluster.get_node_from_key(self._key("head"))}

    def _key(self, name: str) -> str:
        return f"reid:{{{self._address.gallery}}}:{name}"

    def _rows(self, table: str) -> str:
        return self._key(f"rows:{table}")

    def _crop(self, sha256: str) -> str:
        return self._key(f"crop:{sha256}")

    def _records(self, changes: Changes, keys: list[str]) -> tuple[list[str], list[str | int | bytes]]:
        """The keys of a script and what it is to do with them."""
        numbers = {key: number for number, key in enumerate(keys, 1)}
        records: list[str | int | bytes] = []
        for (table, key), row in changes.rows.items():
            number = numbers.setdefault(self._rows(table), len(numbers) + 1)
            records += ["del", number, key, ""] if row is None else ["set", number, key, row]
        for sha256, jpeg in changes.crops.items():
            number = numbers.setdefault(self._crop(sha256), len(numbers) + 1)
            records += ["drop", number, "", ""] if jpeg is None else ["keep", number, "", jpeg]
        return list(numbers), records

    def _config(self, names: Sequence[str]) -> dict[bytes, bytes]:
        found: dict[Any, Any] = self._client.config_get(*names, **self._node)
        return {_bytes(name): _bytes(value) for name, value in found.items()}

    def _script(self, name: str, keys: Sequence[str], values: Sequence[str | int | float | bytes]) -> Any:
        return self._ask(lambda: self._scripts[name](keys=keys, args=values))

    def _ask(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except _AWAY as error:
            raise AwayError(f"Redis does not answer: {error}") from error
        except redis.RedisError as error:
            raise StoreError(f"Redis refuses: {error}") from error


def _client(address: RedisAddress) -> "redis.Redis | RedisCluster":
    timeouts = {"socket_connect_timeout": _CONNECT_S, "socket_timeout": _ANSWER_S}
    # A connection may have been closed since it was used last. All other patience is the caller's.
    retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
    if not address.cluster:
        return redis.Redis.from_url(address.url, retry=retry, **timeouts)
    try:
        return RedisCluster.from_url(address.url, retry=retry, **timeouts)
    except _AWAY as error:
        raise AwayError(f"Redis Cluster does not answer: {error}") from error


def patiently(call: Callable[[], T], patience_s: float) -> T:
    """`call` again and again while Redis does not answer; raises AwayError once patience ends.

    What a later call is refused for says nothing of an earlier one, whose answer was lost: that is an AwayError, too.
    """
    pause_s, until_s = 0.02, time.monotonic() + patience_s
    unanswered = False
    while True:
        try:
            return call()
        except AwayError:
            unanswered = True
            if time.monotonic() >= until_s:
                raise
        except LostError:
            raise
        except StoreError as error:
            if unanswered:
                raise AwayError(f"Redis did not answer, and then: {error}") from error
            raise
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.5)


def _lost(place: Place) -> LostError:
    return LostError(
        f"expected the gallery in Redis to go on from version {place.version}, got an earlier one, another one or none:"
        " it was flushed, replaced or restored; restore its files, then start this service again"
    )


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
