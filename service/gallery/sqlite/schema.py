"""The tables, their version, and how a connection is opened."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from service.gallery.errors import HomeError

BUSY_S = 30  # how long a statement waits for another process

# Rows are numbered with AUTOINCREMENT: a number is never used again, not even the last one after a deletion.
_VERSION_1 = """
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

_VERSION_2 = """
-- Whose the crops are: the same id lies in their folder. The key seals what must tell its bearer nothing.
CREATE TABLE store (
  store_id TEXT NOT NULL,
  seal_key BLOB NOT NULL
) STRICT;
INSERT INTO store VALUES (lower(hex(randomblob(16))), randomblob(32));

CREATE TABLE new_receipts (
  receipt_id TEXT PRIMARY KEY,
  person_id_sha256 TEXT NOT NULL,
  sightings INTEGER NOT NULL,
  images INTEGER NOT NULL,
  completed_at_us INTEGER, -- NULL: not yet gone from the disk
  late INTEGER NOT NULL DEFAULT 0 -- 1: not complete when it was answered, so it is given again to who asks again
) STRICT;
INSERT INTO new_receipts SELECT *, 0 FROM receipts;
DROP TABLE receipts;
ALTER TABLE new_receipts RENAME TO receipts;
CREATE INDEX receipts_by_person ON receipts (person_id_sha256);

CREATE INDEX idempotency_by_age ON idempotency (created_at_us);
"""

_VERSION_3 = """
-- Work in the background. A job is seen by keys with its scope that may see all of its cameras.
CREATE TABLE jobs (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  key_id TEXT NOT NULL,
  scope TEXT NOT NULL,
  cameras TEXT, -- JSON list; NULL: all
  request TEXT, -- JSON; NULL: erased
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  result TEXT, -- JSON
  reason TEXT,
  created_at_us INTEGER NOT NULL,
  started_at_us INTEGER,
  ended_at_us INTEGER
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state, row);
CREATE TABLE job_files (
  row INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
  name TEXT NOT NULL,
  media_type TEXT NOT NULL,
  content BLOB NOT NULL,
  PRIMARY KEY (row, name)
) STRICT;
-- Whom or what a job speaks of: a person_id or a sighting_id. With that goes all that the job said, by whatever road.
CREATE TABLE job_mentions (
  subject TEXT NOT NULL,
  row INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
  PRIMARY KEY (subject, row)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_mentions_by_row ON job_mentions (row);
CREATE TRIGGER jobs_forget_mentioned AFTER DELETE ON job_mentions BEGIN
  UPDATE jobs SET state = 'erased', request = NULL, result = NULL, ended_at_us = coalesce(ended_at_us, started_at_us,
    created_at_us), reason = 'somebody or something that the job spoke of was erased' WHERE row = OLD.row;
  DELETE FROM job_files WHERE row = OLD.row;
END;
CREATE TRIGGER jobs_forget_person AFTER DELETE ON persons BEGIN
  DELETE FROM job_mentions WHERE subject = OLD.person_id;
END;
CREATE TRIGGER jobs_forget_sighting AFTER DELETE ON sightings BEGIN
  DELETE FROM job_mentions WHERE subject = OLD.sighting_id;
END;

-- The operator's own, which wins over the bundle's.
CREATE TABLE calibrations (
  bundle_id TEXT PRIMARY KEY,
  calibration TEXT NOT NULL, -- JSON
  key_id TEXT NOT NULL,
  set_at_us INTEGER NOT NULL
) STRICT;

-- Which change brought a sighting: what events are made of. They hold nothing themselves.
CREATE TABLE arrivals (
  change INTEGER NOT NULL,
  row INTEGER NOT NULL REFERENCES sightings ON DELETE CASCADE,
  PRIMARY KEY (change, row)
) STRICT, WITHOUT ROWID;
CREATE INDEX arrivals_by_row ON arrivals (row);
CREATE TRIGGER sightings_arrive AFTER INSERT ON sightings BEGIN
  INSERT INTO arrivals SELECT value, NEW.row FROM counters WHERE name = 'change';
END;
CREATE INDEX audit_by_change ON audit (change) WHERE change IS NOT NULL;

CREATE TABLE webhooks (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  webhook_id TEXT NOT NULL UNIQUE,
  key_id TEXT NOT NULL,
  url TEXT NOT NULL,
  secret TEXT NOT NULL,
  events TEXT NOT NULL, -- JSON list
  after_change INTEGER NOT NULL, -- delivered, or given up, up to here
  created_at_us INTEGER NOT NULL
) STRICT;
CREATE TABLE dead_letters (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  webhook_row INTEGER NOT NULL REFERENCES webhooks ON DELETE CASCADE,
  change INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  reason TEXT NOT NULL,
  at_us INTEGER NOT NULL
) STRICT;
CREATE INDEX dead_letters_by_webhook ON dead_letters (webhook_row, row);

CREATE TABLE sessions (
  session_sha256 TEXT PRIMARY KEY,
  key_id TEXT NOT NULL,
  expires_at_us INTEGER NOT NULL
) STRICT;
"""

_VERSION_4 = """
-- What was erased, as hashes: neither a backup nor an archive may bring it back.
CREATE TABLE tombstones (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  sha256 BLOB NOT NULL UNIQUE
) STRICT;
-- The records that a person took over when people were merged: erased with them.
CREATE TABLE merged (
  person_row INTEGER NOT NULL REFERENCES persons ON DELETE CASCADE,
  sha256 BLOB NOT NULL,
  PRIMARY KEY (person_row, sha256)
) STRICT, WITHOUT ROWID;

CREATE TABLE retention (
  position INTEGER PRIMARY KEY,
  max_age_s INTEGER NOT NULL,
  camera_id TEXT, -- NULL: any
  known INTEGER -- 1: of a person, 0: of nobody, NULL: either
) STRICT;

-- Which bundle's vectors are searched: the last one's.
CREATE TABLE activations (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  bundle INTEGER NOT NULL REFERENCES bundles,
  at_us INTEGER NOT NULL
) STRICT;
"""

_VERSION_5 = """
-- What was recognised in clips and streams of a camera: news, which names nobody.
CREATE TABLE actions (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  change INTEGER NOT NULL,
  action_id TEXT NOT NULL UNIQUE,
  camera_id TEXT NOT NULL,
  label TEXT NOT NULL,
  score REAL NOT NULL,
  bundle_id TEXT NOT NULL,
  started_at_us INTEGER NOT NULL,
  ended_at_us INTEGER NOT NULL,
  offset_minutes INTEGER NOT NULL
) STRICT;
CREATE INDEX actions_by_change ON actions (change, row);
"""

_VERSION_6 = """
-- Which of the services over one store does it: the one that was asked. '': there is one alone.
ALTER TABLE jobs ADD COLUMN home_id TEXT NOT NULL DEFAULT '';
ALTER TABLE webhooks ADD COLUMN home_id TEXT NOT NULL DEFAULT '';
"""

_VERSION_7 = """
-- When somebody was last seen, without reading all of their sightings.
DROP INDEX sightings_by_person;
CREATE INDEX sightings_by_person ON sightings (person_row, captured_at_us);
"""

_SCRIPTS = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4, _VERSION_5, _VERSION_6, _VERSION_7)
VERSION = len(_SCRIPTS)
RECORDS_VERSION = 6
"""The last version that changed what a record holds: who keeps records elsewhere goes by it."""


def open_file(path: Path) -> sqlite3.Connection:
    """:meth:`connect` to a file that is made if it is missing, readable by its owner alone, its tables at VERSION.

    Raises HomeError for a file that is damaged, of a later version, or cannot be had.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.chmod(0o600)  # SQLite gives its log the mode of the file
        connection = connect(path)
    except (OSError, sqlite3.Error) as error:
        raise HomeError(f"expected a SQLite store at {path}, got: {error}") from error
    try:
        migrate(connection)
    except sqlite3.Error as error:
        connection.close()
        raise HomeError(f"expected a SQLite store at {path}, got: {error}") from error
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def look_into_file(path: Path) -> Iterator[sqlite3.Connection | None]:
    """A store if there is one with tables of this version, without making one.

    Raises HomeError if it is damaged or of a later version.
    """
    if not path.exists():
        yield None
        return
    try:
        with closing(connect(path)) as connection:
            yield connection if check_version(connection) == VERSION else None
    except sqlite3.Error as error:
        raise HomeError(f"expected a SQLite store at {path}, got: {error}") from error


def connect(path: Path) -> sqlite3.Connection:
    """Open a file that is there, as every part of the service does: durable commits, deleted bytes zeroed."""
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        connection.executescript(
            """PRAGMA page_size = 16384; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
            PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;"""
        )
    except BaseException:
        connection.close()
        raise
    return connection


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to VERSION; raises HomeError for a file that a later version wrote."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = check_version(connection)
        for script in _SCRIPTS[found:]:
            _run_script(connection, script)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def check_version(connection: sqlite3.Connection) -> int:
    """The version of the tables (0: none yet); raises HomeError for a later one than ours."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > VERSION:
        raise HomeError(f"the store was written by a later version: expected schema {VERSION}, got {found}")
    return int(found)


def check_integrity(connection: sqlite3.Connection, path: Path) -> None:
    """Raise HomeError for a file whose pages are not what SQLite wrote; reads the whole of it, once."""
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise HomeError(
            f"expected a SQLite store at {path}, got a damaged one: {' '.join(found.split())}; restore a backup"
        )


def _run_script(connection: sqlite3.Connection, script: str) -> None:
    """Like executescript, which would commit first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
    assert not statement.strip()
