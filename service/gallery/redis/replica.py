"""A service's copy of the gallery: SQLite tables in files without a name, which go with the process."""

import json
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from service.gallery.errors import HomeError
from service.gallery.redis.errors import LostError
from service.gallery.redis.link import TURN_PAUSE_S, Changes, Entry, Head, Link, Place
from service.gallery.redis.rows import SEQUENCE, Table, decode, encode, tables_of
from service.gallery.sqlite.schema import connect, open_file
from service.gallery.store import News

_CAPTURE = """
CREATE TEMP TABLE touched (name TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (name, key)) WITHOUT ROWID;
CREATE TEMP TABLE touched_crops (sha256 TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TEMP TRIGGER crops_come AFTER INSERT ON main.sightings BEGIN
  INSERT OR IGNORE INTO touched_crops VALUES (NEW.image_sha256); END;
CREATE TEMP TRIGGER crops_go AFTER DELETE ON main.sightings BEGIN
  INSERT OR IGNORE INTO touched_crops VALUES (OLD.image_sha256); END;
"""
_CACHE_KB = 65_536  # at most; rows come in no order, and their indexes must not go to the file and back for each
_STEPS = 10_000  # of SQLite, between two looks at the time
_SCRUB_DUE = ("counters", json.dumps(["scrub_due"]))
_EVENTS = {"INSERT": ("NEW",), "UPDATE": ("OLD", "NEW"), "DELETE": ("OLD",)}


@dataclass
class _Followed:
    """What following brought so far."""

    version: int
    everything: bool = False
    erases: bool = False
    removed: set[int] = field(default_factory=set)
    embedded: set[int] = field(default_factory=set)


class Replica:
    """Tables that follow those in Redis, all of them or `only` some. One thread writes; `readers` read beside it.

    `writer` runs the store's own transactions, and notes which rows they touch. What others wrote is taken over by
    `taker`, without the triggers of the schema: what those did to other rows comes from Redis as well. `breathe` is
    called often while either is at work for long, and may not raise.
    """

    def __init__(
        self,
        link: Link,
        folder: Path | None = None,
        *,
        only: Iterable[str] | None = None,
        readers: int = 0,
        breathe: Callable[[], None] = lambda: None,
    ) -> None:
        self._link = link
        self._breathe = breathe
        self._opened = ExitStack()
        self.writer, self.taker, *self.readers = self._connections(folder, 2 + readers)
        tables = tables_of(self.writer)
        self._tables = tables if only is None else {name: tables[name] for name in only}
        self._sequences: dict[str, int] = {}
        _capture(self.writer, self.taker, tables.values())
        for connection in (self.writer, self.taker):
            connection.set_progress_handler(breathe, _STEPS)
        self.place = Place()
        self.store_id = ""

    @property
    def version(self) -> int:
        """After how many commits of the gallery this is."""
        return self.place.version

    def close(self) -> None:
        """Let go of the files; the kernel removes them."""
        self._opened.close()

    def find(self) -> bool:
        """Learn which gallery is in Redis, if there is one. Raises HomeError, StoreError."""
        head = self._link.head()
        if head is not None:
            self.store_id = head.store_id
        return head is not None

    def find_or_begin(self) -> None:
        """As :meth:`find`; where there is none, begin one. Nothing is taken over yet."""
        if not self.find():
            (fresh,) = self.writer.execute("SELECT store_id FROM store").fetchone()
            self._link.begin(fresh, self._all_changes())
            if not self.find():
                raise HomeError("expected a gallery in Redis, got none: it was flushed just now")

    def commit_anyhow(self) -> None:
        """Commit what was written since :meth:`begin` to rows that nobody else writes, whatever others wrote."""
        changes, request = self.changes(lambda _: None), os.urandom(16).hex()
        self.writer.execute("COMMIT")
        while (said := self._link.commit(self.store_id, self.place, request, changes)) != "kept":
            if said == "wait":
                time.sleep(TURN_PAUSE_S)
            self.follow()

    def begin(self) -> None:
        """Begin a transaction on `writer`."""
        self.writer.execute("BEGIN IMMEDIATE")
        self.writer.execute("DELETE FROM touched")
        self.writer.execute("DELETE FROM touched_crops")
        self._sequences = dict(self.writer.execute("SELECT name, seq FROM sqlite_sequence"))

    def changes(self, kept: Callable[[str], bytes | None]) -> Changes:
        """What the transaction that is open on `writer` has touched; `kept` gives the crops that came with it."""
        touched = self.writer.execute("SELECT name, key FROM touched ORDER BY name, key").fetchall()
        rows = {(name, key): self._row(name, key) for name, key in touched}
        for name, seq in self.writer.execute("SELECT name, seq FROM sqlite_sequence"):
            if self._sequences.get(name) != seq:
                rows[SEQUENCE.name, json.dumps([name])] = encode((name, seq))
        crops: dict[str, bytes | None] = {}
        for (sha256,) in self.writer.execute("SELECT sha256 FROM touched_crops").fetchall():
            if not _has(self.writer, sha256):
                crops[sha256] = None
            elif not _has(self.taker, sha256) and (jpeg := kept(sha256)) is not None:  # else Redis has it
                crops[sha256] = jpeg
        return Changes(rows, crops, erases=rows.get(_SCRUB_DUE) == encode(("scrub_due", 1)))

    def follow(self) -> News | None:
        """Take over what others wrote, all of it or nothing; None where nobody did. Raises LostError, StoreError."""
        head = self._head(self.place)
        if head.version == self.version:
            return None
        done = _Followed(self.version)
        self.taker.execute("BEGIN IMMEDIATE")
        try:
            while head.version != done.version:
                if head.floor > done.version or not done.version:
                    self._load(head.version, done)
                else:
                    self._take(head.entries, done)
                head = self._head(Place(done.version))
            self.taker.execute("COMMIT")
        except BaseException:
            self.taker.execute("ROLLBACK")
            raise
        self.place = Place(done.version, head.request)
        removed, embedded = (np.array(sorted(rows), np.int64) for rows in (done.removed, done.embedded))
        return News(removed, embedded, everything=done.everything, erases=done.erases)

    def _head(self, place: Place) -> Head:
        head = self._link.head(place)
        if head is None or head.store_id != self.store_id:
            raise LostError(f"expected the gallery {self.store_id} in Redis, got another or none: it was flushed")
        return head

    def _load(self, version: int, done: _Followed) -> None:
        """All rows that are in Redis in place of those here; what changes meanwhile is in the log after `version`."""
        self._breathe()  # the log is kept for those who were heard of
        before = self._rows_of_sightings()
        for table in self._tables.values():
            self.taker.execute(f"DELETE FROM {table.name}")  # noqa: S608 (names of our own)
        for table in self._tables.values():
            for some in self._link.all_rows(table.name):
                table.put(self.taker, [decode(row) for row in some])
        done.version, done.everything = version, True
        done.removed |= before - self._rows_of_sightings()

    def _take(self, entries: Sequence[Entry], done: _Followed) -> None:
        """The rows that `entries` name, as they are by now: what changed them since is in a later entry."""
        touched: dict[str, dict[str, None]] = {}
        for entry in entries:
            done.erases |= entry.erases
            for name, some in entry.touched.items():
                touched.setdefault(name, {}).update(dict.fromkeys(some))
        for name, keys in touched.items():
            if name in self._tables:
                self._take_rows(self._tables[name], list(keys), done)
        done.version += len(entries)

    def _take_rows(self, table: Table, keys: list[str], done: _Followed) -> None:
        found = dict(zip(keys, self._link.rows(table.name, keys), strict=True))
        gone = [key for key, row in found.items() if row is None]
        table.drop(self.taker, gone)
        table.put(self.taker, [decode(row) for row in found.values() if row is not None])
        if table.name == "sightings":
            done.removed |= {json.loads(key)[0] for key in gone}
        elif table.name == "vectors":
            done.embedded |= {json.loads(key)[1] for key in keys} - {json.loads(key)[1] for key in gone}

    def _rows_of_sightings(self) -> set[int]:
        return {row for (row,) in self.taker.execute("SELECT row FROM sightings")}

    def _row(self, name: str, key: str) -> bytes | None:
        row = self._tables[name].find(self.writer, key)
        return None if row is None else encode(row)

    def _all_changes(self) -> Changes:
        """Everything that a new store holds."""
        rows: dict[tuple[str, str], bytes | None] = {}
        for table in tables_of(self.writer).values():
            columns = ", ".join(table.columns)
            key = table.key_of(table.name)
            for at, *row in self.writer.execute(f"SELECT {key}, {columns} FROM {table.name}"):  # noqa: S608
                rows[table.name, at] = encode(tuple(row))
        return Changes(rows)

    def _connections(self, folder: Path | None, count: int) -> list[sqlite3.Connection]:
        """Connections to one new file, whose names are taken away once all of them have it open."""
        try:
            with tempfile.TemporaryDirectory(dir=folder) as made:
                path = Path(made) / "replica.sqlite"
                connections = [open_file(path), *(connect(path) for _ in range(count - 1))]
                for connection in connections:
                    self._opened.callback(connection.close)
                    connection.execute("PRAGMA synchronous = OFF")
                    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except (OSError, sqlite3.Error) as error:
            self._opened.close()
            raise HomeError(f"expected a folder that can be written for a copy of the gallery, got: {error}") from error
        return connections


def _capture(writer: sqlite3.Connection, taker: sqlite3.Connection, tables: Iterable[Table]) -> None:
    """Let `writer` alone run the schema's triggers, and note the rows it touches."""
    triggers = taker.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    taker.execute("PRAGMA foreign_keys = OFF")
    taker.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
    for name, _ in triggers:
        taker.execute(f"DROP TRIGGER {name}")
    writer.execute("PRAGMA recursive_triggers = ON")  # what REPLACE replaces counts as deleted
    writer.executescript(_CAPTURE)
    for _, sql in triggers:
        writer.execute(sql.replace("CREATE TRIGGER", "CREATE TEMP TRIGGER", 1))
    for table in tables:
        if table is SEQUENCE:
            continue
        for event, rows in _EVENTS.items():
            notes = " ".join(
                f"INSERT OR IGNORE INTO touched VALUES ('{table.name}', {table.key_of(row)});"  # noqa: S608
                for row in rows
            )
            writer.execute(
                f"CREATE TEMP TRIGGER on_{event}_{table.name} AFTER {event} ON main.{table.name} BEGIN {notes} END"
            )


def _has(connection: sqlite3.Connection, sha256: str) -> bool:
    """Whether a sighting needs that crop."""
    found = connection.execute("SELECT 1 FROM sightings WHERE image_sha256 = ? LIMIT 1", (sha256,)).fetchone()
    return found is not None
