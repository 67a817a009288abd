"""The table of what was erased, as hashes: a restored backup or an imported archive must not bring it back."""

import hashlib
import sqlite3
from collections.abc import Collection, Iterable


def of_person(person_id: str, created_at_us: int) -> bytes:
    """How a person's record is remembered: one that is added later under the same id is another."""
    return hashlib.sha256(f"person {created_at_us} {person_id}".encode()).digest()


def of_sighting(sighting_id: str) -> bytes:
    """How a sighting is remembered."""
    return hashlib.sha256(f"sighting {sighting_id}".encode()).digest()


def add(connection: sqlite3.Connection, hashes: Iterable[bytes]) -> None:
    """Remember them for good; those that are there already are no matter."""
    connection.executemany(
        "INSERT INTO tombstones (sha256) VALUES (?) ON CONFLICT DO NOTHING", [(one,) for one in hashes]
    )


def has(connection: sqlite3.Connection, sha256: bytes) -> bool:
    """Whether that was erased."""
    return connection.execute("SELECT 1 FROM tombstones WHERE sha256 = ?", (sha256,)).fetchone() is not None


def after(connection: sqlite3.Connection, row: int) -> list[tuple[int, bytes]]:
    """Those added after that row, with their own."""
    return connection.execute("SELECT row, sha256 FROM tombstones WHERE row > ? ORDER BY row", (row,)).fetchall()


def buried(connection: sqlite3.Connection, hashes: Collection[bytes]) -> tuple[list[int], list[str]]:
    """The rows of the people, and the ids of the sightings, that are here although `hashes` name them."""
    people = connection.execute("SELECT person_row, person_id, created_at_us FROM persons").fetchall()
    sightings = connection.execute("SELECT sighting_id FROM sightings")
    return (
        [row for row, person_id, created_at_us in people if of_person(person_id, created_at_us) in hashes],
        [sighting_id for (sighting_id,) in sightings if of_sighting(sighting_id) in hashes],
    )
