"""The tables of jobs: what was asked for, by whom, how far it got, and what came of it."""

import json
import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from service.gallery.errors import ConflictError, NotFoundError
from service.gallery.records import Actor, Moment, Page
from service.gallery.sqlite.reading import Reading
from service.gallery.sqlite.writing import Writing

State = Literal["waiting", "running", "done", "failed", "cancelled", "erased"]
OPEN: tuple[State, ...] = ("waiting", "running")

MOST_ATTEMPTS = 3
KEPT_DAYS = 7  # after a job ended

_COLUMNS = (
    "SELECT row, job_id, kind, key_id, scope, cameras, request, state, attempts, result, reason,"
    " created_at_us, started_at_us, ended_at_us, home_id FROM jobs"
)
_MOVABLE = "state IN ('waiting', 'running') AND kind <> 'import'"


@dataclass(frozen=True)
class Job:
    """Work in the background. `request` and `result` are plain JSON values; both go when whom they name is erased."""

    row: int
    job_id: str
    kind: str
    actor: Actor
    scope: str
    request: dict[str, Any] | None
    state: State
    attempts: int
    result: dict[str, Any] | None
    reason: str | None
    created_at: Moment
    started_at: Moment | None
    ended_at: Moment | None
    home_id: str  # of the service that does it


@dataclass(frozen=True)
class JobFile:
    """Something to download that a job made."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class Outcome:
    """What came of a job, and which person_ids and sighting_ids it speaks of."""

    result: dict[str, Any]
    files: tuple[JobFile, ...] = ()
    mentions: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Viewer:
    """Who asks for jobs: their scopes, and the cameras that they are limited to (None: all)."""

    scopes: frozenset[str]
    cameras: frozenset[str] | None

    def may_see(self, job: Job) -> bool:
        """Whether they could have started it: they have its scope, and see every camera that it saw."""
        if job.scope not in self.scopes:
            return False
        return self.cameras is None or (job.actor.cameras is not None and job.actor.cameras <= self.cameras)


def add_job(
    writing: Writing,
    actor: Actor,
    kind: str,
    scope: str,
    request: dict[str, Any],
    mentions: Iterable[str],
    job_id: str,
    home_id: str = "",
) -> Job:
    """Keep a new job that waits for the service of that home."""
    now = Moment.now().us
    connection = writing.connection
    cameras = None if actor.cameras is None else json.dumps(sorted(actor.cameras))
    (row,) = connection.execute(
        "INSERT INTO jobs (job_id, kind, key_id, scope, cameras, request, state, created_at_us, home_id)"
        " VALUES (?, ?, ?, ?, ?, ?, 'waiting', ?, ?) RETURNING row",
        (job_id, kind, actor.key_id, scope, cameras, json.dumps(request), now, home_id),
    ).fetchone()
    _mention(connection, row, mentions)
    return find_job(writing, job_id)


def forget_old(writing: Writing) -> None:
    """Forget the jobs that ended more than KEPT_DAYS ago, with their results."""
    _forget(writing.connection, "ended_at_us < ?", Moment.now().us - KEPT_DAYS * 86_400_000_000)


def find_job(reading: Reading, job_id: str) -> Job:
    """The job of that id; raises NotFoundError."""
    found = reading.connection.execute(f"{_COLUMNS} WHERE job_id = ?", (job_id,)).fetchone()
    if found is None:
        raise NotFoundError(f"expected a job that exists, got {job_id!r}")
    return _job(*found)


def seen_job(reading: Reading, job_id: str, viewer: Viewer) -> Job:
    """:func:`find_job`, where a job that the viewer may not see does not exist."""
    job = find_job(reading, job_id)
    if not viewer.may_see(job):
        raise NotFoundError(f"expected a job that exists, got {job_id!r}")
    return job


def list_jobs(reading: Reading, viewer: Viewer, before_row: int | None, limit: int) -> Page[Job]:
    """Jobs that the viewer may see, the latest first."""
    found = reading.connection.execute(
        f"{_COLUMNS} WHERE row < coalesce(?, 9223372036854775807) ORDER BY row DESC", (before_row,)
    )
    seen: list[Job] = []
    for columns in found:
        job = _job(*columns)
        if viewer.may_see(job):
            if len(seen) == limit:
                return Page(seen, seen[-1].row)
            seen.append(job)
    return Page(seen, None)


def count_open(reading: Reading) -> int:
    """How many jobs wait or run."""
    (count,) = reading.connection.execute("SELECT count(*) FROM jobs WHERE state IN ('waiting', 'running')").fetchone()
    return int(count)


def with_archives(reading: Reading) -> set[str]:
    """The jobs whose archive is still needed: to be worked on, or to be fetched."""
    found = reading.connection.execute(
        "SELECT job_id FROM jobs WHERE state IN ('waiting', 'running') OR (state = 'done' AND kind = 'export')"
    )
    return {job_id for (job_id,) in found}


def is_running(reading: Reading, job_id: str, home_id: str) -> bool:
    """Whether it runs, as far as anybody decided, and there: another service may have taken it over."""
    found = reading.connection.execute("SELECT state, home_id FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
    return bool(found == ("running", home_id))


def job_file(reading: Reading, job: Job, name: str) -> JobFile:
    """A file that the job made; raises NotFoundError, or ConflictError while it is not made yet."""
    found = reading.connection.execute(
        "SELECT name, media_type, content FROM job_files WHERE row = ? AND name = ?", (job.row, name)
    ).fetchone()
    if found is not None:
        return JobFile(*found)
    if job.state in OPEN:
        raise ConflictError(f"expected a job that is done, got one that is {job.state}")
    raise NotFoundError(f"expected a job with {name!r}, got one without ({job.state})")


def take_next(writing: Writing, home_id: str) -> Job | None:
    """Mark the job of that home that waits longest as running; those taken up too often fail instead."""
    connection = writing.connection
    reason = f"taken up {MOST_ATTEMPTS} times, and interrupted each time"
    connection.execute(
        "UPDATE jobs SET state = 'failed', reason = ?, ended_at_us = ? WHERE state = 'waiting' AND attempts >= ?"
        " AND home_id = ?",
        (reason, Moment.now().us, MOST_ATTEMPTS, home_id),
    )
    found = connection.execute(
        "UPDATE jobs SET state = 'running', attempts = attempts + 1, started_at_us = ? WHERE row ="
        " (SELECT min(row) FROM jobs WHERE state = 'waiting' AND home_id = ?) RETURNING job_id",
        (Moment.now().us, home_id),
    ).fetchone()
    return None if found is None else find_job(writing, found[0])


def put_back(writing: Writing, which: Job | str, *, counted: bool) -> None:
    """Let a running job (or those of a home) wait again; unless `counted`, that attempt is not held against them."""
    home_id, row = (which, None) if isinstance(which, str) else (which.home_id, which.row)
    writing.connection.execute(
        "UPDATE jobs SET state = 'waiting', attempts = attempts - ?"
        " WHERE state = 'running' AND home_id = ? AND row = coalesce(?, row)",
        (0 if counted else 1, home_id, row),
    )


def homes(reading: Reading) -> set[str]:
    """Whose services have jobs to do that another could do as well: the archive of an import lies there alone."""
    found = reading.connection.execute(f"SELECT home_id FROM jobs WHERE {_MOVABLE}")  # noqa: S608 (text of our own)
    return {home_id for (home_id,) in found}


def take_over(writing: Writing, home_id: str, heir: str) -> int:
    """Have the service of `heir` do what that of `home_id` did not; how many jobs those are."""
    return writing.connection.execute(
        f"UPDATE jobs SET home_id = ?, state = 'waiting' WHERE {_MOVABLE} AND home_id = ?",  # noqa: S608 (text of our own)
        (heir, home_id),
    ).rowcount


def finish(writing: Writing, job: Job, outcome: Outcome) -> bool:
    """Keep what came of a running job; False, and nothing is kept, if it speaks of what was erased meanwhile."""
    connection = writing.connection
    if not is_running(writing, job.job_id, job.home_id):
        return True
    if _missing(connection, outcome.mentions):
        put_back(writing, job, counted=True)
        return False
    connection.execute(
        "UPDATE jobs SET state = 'done', result = ?, ended_at_us = ? WHERE row = ?",
        (json.dumps(outcome.result), Moment.now().us, job.row),
    )
    connection.executemany(
        "INSERT INTO job_files VALUES (?, ?, ?, ?)",
        [(job.row, file.name, file.media_type, file.content) for file in outcome.files],
    )
    _mention(connection, job.row, outcome.mentions)
    return True


def end(writing: Writing, job: Job, state: State, reason: str | None) -> None:
    """End a job that waits or runs without a result."""
    writing.connection.execute(
        "UPDATE jobs SET state = ?, reason = ?, ended_at_us = ? WHERE row = ? AND home_id = ?"
        " AND state IN ('waiting', 'running')",
        (state, reason, Moment.now().us, job.row, job.home_id),
    )


def forget(writing: Writing, job: Job) -> None:
    """Remove a job that ended, with its result and its files."""
    _forget(writing.connection, "row = ?", job.row)


def _forget(connection: sqlite3.Connection, which: str, value: int) -> None:
    # Not by way of the mentions: their trigger would rewrite what goes anyway.
    connection.execute(f"DELETE FROM jobs WHERE ended_at_us IS NOT NULL AND {which}", (value,))  # noqa: S608


def _mention(connection: sqlite3.Connection, row: int, mentions: Iterable[str]) -> None:
    connection.executemany(
        "INSERT INTO job_mentions VALUES (?, ?) ON CONFLICT DO NOTHING", [(subject, row) for subject in mentions]
    )


def _missing(connection: sqlite3.Connection, subjects: Collection[str]) -> bool:
    (there,) = connection.execute(
        "SELECT count(*) FROM json_each(?) AS one WHERE EXISTS (SELECT 1 FROM persons WHERE person_id = one.value)"
        " OR EXISTS (SELECT 1 FROM sightings WHERE sighting_id = one.value)",
        (json.dumps(list(subjects)),),
    ).fetchone()
    return bool(there < len(subjects))


def _job(*columns: Any) -> Job:
    row, job_id, kind, key_id, scope, cameras, request, state, attempts, result, reason, *times, home_id = columns
    created_at, started_at, ended_at = (None if us is None else Moment(us) for us in times)
    assert created_at is not None
    return Job(
        row=row,
        job_id=job_id,
        kind=kind,
        actor=Actor(key_id, None if cameras is None else frozenset(json.loads(cameras))),
        scope=scope,
        request=None if request is None else json.loads(request),
        state=state,
        attempts=attempts,
        result=None if result is None else json.loads(result),
        reason=reason,
        created_at=created_at,
        started_at=started_at,
        ended_at=ended_at,
        home_id=home_id,
    )
