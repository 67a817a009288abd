"""The table of API keys. The command writes it beside a running service, which reads it at every request."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service.gallery.errors import NotFoundError
from service.gallery.records import Key, Moment
from service.gallery.sqlite.schema import open_file

_COLUMNS = "SELECT key_id, name, secret_sha256, scopes, cameras, created_at_us, revoked_at_us FROM keys"


@contextmanager
def open_keys(store_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to the store, made if it is missing. Raises HomeError if it cannot be used."""
    connection = open_file(store_path)
    try:
        yield connection
    finally:
        connection.close()


def add_key(connection: sqlite3.Connection, key: Key) -> None:
    """Keep a new key."""
    cameras = None if key.cameras is None else json.dumps(sorted(key.cameras))
    connection.execute(
        "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, NULL)",
        (key.key_id, key.name, key.secret_sha256, " ".join(sorted(key.scopes)), cameras, key.created_at.us),
    )


def find_key(connection: sqlite3.Connection, key_id: str) -> Key | None:
    """The key of that id, revoked ones included."""
    found = connection.execute(f"{_COLUMNS} WHERE key_id = ?", (key_id,)).fetchone()
    return None if found is None else _key(*found)


def list_keys(connection: sqlite3.Connection) -> list[Key]:
    """All keys in the order they were made, revoked ones included."""
    return [_key(*columns) for columns in connection.execute(f"{_COLUMNS} ORDER BY created_at_us, key_id")]


def revoke_key(connection: sqlite3.Connection, key_id: str) -> None:
    """Refuse the key from now on; raises NotFoundError."""
    done = connection.execute(
        "UPDATE keys SET revoked_at_us = coalesce(revoked_at_us, ?) WHERE key_id = ?", (Moment.now().us, key_id)
    )
    if not done.rowcount:
        raise NotFoundError(f"expected the id of a key, got {key_id!r}")


def _key(*columns: Any) -> Key:
    key_id, name, secret_sha256, scopes, cameras, created_us, revoked_us = columns
    return Key(
        key_id=key_id,
        name=name,
        secret_sha256=secret_sha256,
        scopes=frozenset(scopes.split()),
        cameras=None if cameras is None else frozenset(json.loads(cameras)),
        created_at=Moment(created_us),
        revoked_at=None if revoked_us is None else Moment(revoked_us),
    )
