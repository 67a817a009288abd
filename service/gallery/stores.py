"""Which store an address leads to, and the few things that commands do to one beside a running service."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from service.gallery.cleanup import Beside
from service.gallery.crops import CropFiles, Crops
from service.gallery.redis.address import RedisAddress
from service.gallery.redis.link import Link
from service.gallery.redis.replica import Replica
from service.gallery.redis.store import RedisStore
from service.gallery.sqlite import activations
from service.gallery.sqlite.keys import open_keys as open_keys_in_file
from service.gallery.sqlite.reading import Reading
from service.gallery.sqlite.schema import look_into_file
from service.gallery.sqlite.store import SqliteStore
from service.gallery.store import News, Store

StoreAddress = Path | RedisAddress  # a Path is that of a SQLite file


def open_store(
    address: StoreAddress,
    home: Path,
    beside: Beside,
    follow: Callable[[Reading, News], None],
) -> tuple[Store, Crops]:
    """The store and where its crops are; raises HomeError, StoreError."""
    if isinstance(address, RedisAddress):
        store = RedisStore(address, home, beside, follow)
        return store, store.crops
    crops = CropFiles(home / "crops")
    return SqliteStore(address, beside), crops


@contextmanager
def open_keys(address: StoreAddress) -> Iterator[sqlite3.Connection]:
    """The table of keys, to read and to write; what was written is kept when the block ends."""
    if isinstance(address, Path):
        with open_keys_in_file(address) as connection:
            yield connection
        return
    with _tables(address, "keys") as replica:
        replica.find_or_begin()
        replica.follow()
        replica.begin()
        yield replica.writer
        replica.commit_anyhow()


def bundle_in_force(address: StoreAddress) -> str | None:
    """The bundle that a gallery was last searched with; None where there is none yet. Raises HomeError, StoreError."""
    with look_into(address, "bundles", "activations") as connection:
        current = None if connection is None else activations.find(Reading(connection))
    return None if current is None else current.bundle_id


def check_store(address: StoreAddress) -> None:
    """Raise HomeError for a Redis that may lose what it acknowledged, StoreError for one that does not answer."""
    if isinstance(address, RedisAddress):
        with closing(Link(address)) as link:
            link.check()


@contextmanager
def look_into(address: StoreAddress, *tables: str) -> Iterator[sqlite3.Connection | None]:
    """A store to read at least these tables of, None where there is none yet; makes nothing.

    Raises HomeError for a store that is damaged or of another version, StoreError for one that does not answer.
    """
    if isinstance(address, Path):
        with look_into_file(address) as connection:
            yield connection
        return
    with _tables(address, *tables) as replica:
        is_there = replica.find()
        if is_there:
            replica.follow()
        yield replica.writer if is_there else None


@contextmanager
def _tables(address: RedisAddress, *names: str) -> Iterator[Replica]:
    with closing(Link(address)) as link, closing(Replica(link, only=names)) as replica:
        yield replica
