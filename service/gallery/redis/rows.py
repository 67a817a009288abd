"""Rows of SQLite tables as Redis keeps them: a field named by the primary key, all columns as its value."""

import json
import sqlite3
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """A table, its columns, and those of its primary key; BLOBs in keys are written in hex."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    blobs: frozenset[str] = frozenset()

    def key_of(self, row: str) -> str:
        """The key of a `row` (OLD, NEW) as an SQL expression that gives JSON."""
        return f"json_array({', '.join(self._plain(f'{row}.{column}', column) for column in self.key)})"

    def find(self, connection: sqlite3.Connection, key: str) -> Row | None:
        """The row of that key."""
        found: Row | None = connection.execute(
            f"SELECT {', '.join(self.columns)} FROM {self.name} WHERE {self._has_key}",  # noqa: S608 (names of our own)
            json.loads(key),
        ).fetchone()
        return found

    def put(self, connection: sqlite3.Connection, rows: list[Row]) -> None:
        """Add rows, each in place of what there is."""
        marks = ", ".join("?" * len(self.columns))
        sql = f"INSERT OR REPLACE INTO {self.name} ({', '.join(self.columns)}) VALUES ({marks})"  # noqa: S608
        connection.executemany(sql, rows)

    def drop(self, connection: sqlite3.Connection, keys: list[str]) -> None:
        """Take rows out."""
        sql = f"DELETE FROM {self.name} WHERE {self._has_key}"  # noqa: S608 (names of our own)
        connection.executemany(sql, [json.loads(key) for key in keys])

    @cached_property
    def _has_key(self) -> str:
        return " AND ".join(f"{self._plain(column, column)} = ?" for column in self.key)

    def _plain(self, expression: str, column: str) -> str:
        return f"hex({expression})" if column in self.blobs else expression


class Sequence(Table):
    """SQLite's own table of the highest rows: it has no primary key, and takes no trigger."""

    def put(self, connection: sqlite3.Connection, rows: list[Row]) -> None:
        """As :meth:`Table.put`."""
        self.drop(connection, [json.dumps([name]) for name, _ in rows])
        super().put(connection, rows)


SEQUENCE = Sequence("sqlite_sequence", ("name", "seq"), ("name",))


def tables_of(connection: sqlite3.Connection) -> dict[str, Table]:
    """All tables of a store by name."""
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    found = {name: _table(connection, name) for (name,) in names.fetchall()}
    return {**found, SEQUENCE.name: SEQUENCE}


def encode(row: Row) -> bytes:
    """Columns as a line of JSON, and after it the bytes of BLOBs.

    >>> encode((1, "a", b"xy"))
    b'[1, "a", {"bytes": 2}]\\nxy'
    """
    blobs = [value for value in row if isinstance(value, bytes)]
    plain = [{"bytes": len(value)} if isinstance(value, bytes) else value for value in row]
    return json.dumps(plain).encode() + b"\n" + b"".join(blobs)


def decode(data: bytes) -> Row:
    """What :func:`encode` wrote.

    >>> decode(encode((1, "ä", b"\\n", None, 0.1)))
    (1, 'ä', b'\\n', None, 0.1)
    """
    line, _, blobs = data.partition(b"\n")
    row = json.loads(line.decode())
    start = 0
    for number, value in enumerate(row):
        if isinstance(value, dict):
            end = start + value["bytes"]
            row[number] = blobs[start:end]
            start = end
    return tuple(row)


def _table(connection: sqlite3.Connection, name: str) -> Table:
    found = connection.execute(f"PRAGMA table_info({name})").fetchall()
    columns = tuple(column for _, column, *_ in found)
    key = tuple(column for place, column in sorted((one[5], one[1]) for one in found) if place)
    blobs = frozenset(column for _, column, kind, *_ in found if kind == "BLOB")
    return Table(name, columns, key, blobs) if key else Table(name, ("rowid", *columns), ("rowid",))
