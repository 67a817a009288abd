"""The tables, their version, and how a connection is opened."""

import sqlite3
from pathlib import Path

from service.gallery.errors import HomeError

VERSION = 1

# Rows are numbered with AUTOINCREMENT: a number is never used again, not even the last one after a deletion.
_TABLES = """
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
INSERT INTO counters VALUES ('change', 0), ('scrub_due', 0);

CREATE TABLE persons (
  person_row INTEGER PRIMARY KEY AUTOINCREMENT,
  person_id TEXT NOT NULL UNIQUE,
  name TEXT,
  metadata TEXT NOT NULL,
  created_at_us INTEGER NOT NULL,
  updated_at_us INTEGER NOT NULL
) STRICT;
CREATE TABLE person_tags (
  person_row INTEGER NOT NULL REFERENCES persons ON DELETE CASCADE,
  tag TEXT NOT NULL,
  PRIMARY KEY (person_row, tag)
) STRICT, WITHOUT ROWID;

CREATE TABLE sightings (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  sighting_id TEXT NOT NULL UNIQUE,
  person_row INTEGER REFERENCES persons,
  camera_id TEXT,
  captured_at_us INTEGER NOT NULL,
  captured_at_offset_minutes INTEGER NOT NULL,
  tracklet_id TEXT,
  metadata TEXT NOT NULL,
  attributes TEXT NOT NULL DEFAULT '{}',
  image_sha256 TEXT NOT NULL,
  width_px INTEGER NOT NULL,
  height_px INTEGER NOT NULL,
  created_at_us INTEGER NOT NULL
) STRICT;
CREATE INDEX sightings_by_person ON sightings (person_row);
CREATE INDEX sightings_by_camera ON sightings (camera_id, captured_at_us);
CREATE INDEX sightings_by_time ON sightings (captured_at_us);
CREATE INDEX sightings_by_tracklet ON sightings (tracklet_id) WHERE tracklet_id IS NOT NULL;
CREATE INDEX sightings_by_image ON sightings (image_sha256);
CREATE TABLE sighting_tags (
  row INTEGER NOT NULL REFERENCES sightings ON DELETE CASCADE,
  tag TEXT NOT NULL,
  PRIMARY KEY (row, tag)
) STRICT, WITHOUT ROWID;

CREATE TABLE bundles (
  bundle INTEGER PRIMARY KEY,
  bundle_id TEXT NOT NULL UNIQUE,
  dimension INTEGER NOT NULL
) STRICT;
CREATE TABLE vectors (
  bundle INTEGER NOT NULL REFERENCES bundles,
  row INTEGER NOT NULL REFERENCES sightings ON DELETE CASCADE,
  vector BLOB NOT NULL, -- little-endian float16
  PRIMARY KEY (bundle, row)
) STRICT, WITHOUT ROWID;
CREATE INDEX vectors_by_row ON vectors (row);

CREATE TABLE idempotency (
  key_id TEXT NOT NULL,
  key_sha256 TEXT NOT NULL,
  body_sha256 TEXT NOT NULL,
  change INTEGER NOT NULL,
  answer TEXT, -- NULL: erased
  created_at_us INTEGER NOT NULL,
  PRIMARY KEY (key_id, key_sha256)
) STRICT;
-- Whom or what an answer speaks of: a person_id or a sighting_id. Erasing that erases the answer.
CREATE TABLE idempotency_mentions (
  subject TEXT NOT NULL,
  key_id TEXT NOT NULL,
  key_sha256 TEXT NOT NULL,
  PRIMARY KEY (subject, key_id, key_sha256),
  FOREIGN KEY (key_id, key_sha256) REFERENCES idempotency ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  at_us INTEGER NOT NULL,
  key_id TEXT NOT NULL,
  action TEXT NOT NULL,
  person_id TEXT,
  count INTEGER NOT NULL,
  change INTEGER
) STRICT;
CREATE INDEX audit_by_person ON audit (person_id) WHERE person_id IS NOT NULL;

CREATE TABLE receipts (
  receipt_id TEXT PRIMARY KEY,
  person_id_sha256 TEXT NOT NULL,
  sightings INTEGER NOT NULL,
  images INTEGER NOT NULL,
  completed_at_us INTEGER NOT NULL
) STRICT;

CREATE TABLE keys (
  key_id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  secret_sha256 BLOB NOT NULL,
  scopes TEXT NOT NULL,
  cameras TEXT, -- JSON list; NULL: all
  created_at_us INTEGER NOT NULL,
  revoked_at_us INTEGER
) STRICT;
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file as every part of the service does: durable commits, deleted bytes overwritten with zeros."""
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    connection.executescript(
        """PRAGMA page_size = 16384; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
        PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;"""
    )
    return connection


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to VERSION; raises HomeError for a file that a later version wrote."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        _upgrade(connection)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _upgrade(connection: sqlite3.Connection) -> None:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > VERSION:
        raise HomeError(f"the store was written by a later version: expected schema {VERSION}, got {found}")
    if found < 1:
        _run_script(connection, _TABLES)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _run_script(connection: sqlite3.Connection, script: str) -> None:
    """Like executescript, which would commit first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
    assert not statement.strip()
