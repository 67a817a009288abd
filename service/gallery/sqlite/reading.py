"""What can be asked of the store, as one caller sees it."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from service.gallery.digests import sha256
from service.gallery.errors import ErasedError, IdempotencyError, NotFoundError
from service.gallery.filters import Condition, Filter, condition, marks, visible
from service.gallery.records import (
    Appearance,
    AuditLine,
    Key,
    Moment,
    Page,
    Person,
    Place,
    Receipt,
    RetentionRule,
    Sighting,
)
from service.gallery.sqlite import tombstones
from service.gallery.sqlite.keys import find_key

_ROWS = 2**64  # more than there are: what a time is multiplied by to stand in one number with a row
_SIGHTING = """SELECT s.row, s.sighting_id, p.person_id, s.camera_id, s.captured_at_us,
 s.captured_at_offset_minutes, s.tracklet_id, (SELECT json_group_array(tag) FROM sighting_tags WHERE row = s.row),
 s.metadata, s.attributes, s.image_sha256, s.width_px, s.height_px, s.created_at_us
 FROM sightings AS s LEFT JOIN persons AS p ON p.person_row = s.person_row WHERE """

_RECEIPT = "SELECT receipt_id, person_id_sha256, sightings, images, completed_at_us FROM receipts"

_ROWS_AT_ONCE = 10_000  # SQLite takes at most 32 766 values in one statement
_VECTORS_AT_ONCE = 2_048  # as many as the cache holds while they are looked at


class Reading:
    """One caller's view of one moment: sightings of other cameras do not exist in it, nor do people seen only there.

    A person without any sighting is seen only by callers that are not limited to cameras. To the others a person
    is an id and a count of sightings: whoever may enrol can name anybody, and must learn nothing by that. What is
    not there, or not for this caller, is the same NotFoundError.
    """

    def __init__(self, connection: sqlite3.Connection, cameras: frozenset[str] | None = None) -> None:
        self._connection = connection
        self._cameras = cameras
        self._visible = visible(cameras)

    @property
    def sees_all(self) -> bool:
        """Whether the caller is not limited to cameras."""
        return self._cameras is None

    def sees(self, camera_id: str | None) -> bool:
        """Whether the caller may know of what this camera saw."""
        return self._cameras is None or camera_id in self._cameras

    @property
    def connection(self) -> sqlite3.Connection:
        """For the tables that stand beside the gallery's: jobs, calibrations, webhooks, sessions."""
        return self._connection

    def change(self) -> int:
        """The number of the last change."""
        return int(self._one("SELECT value FROM counters WHERE name = 'change'")[0])

    def person(self, person_id: str) -> Person:
        """The person of that id; raises NotFoundError."""
        found = self._persons(Condition("p.person_id = ?", (person_id,)), limit=1)
        return found[0][1] if found else _not_found("person", person_id)

    def persons(self, after_row: int, limit: int, tag: str | None = None) -> Page[Person]:
        """People in the order they were added, those with `tag` if one is named and this caller may know tags."""
        if tag is not None and not self.sees_all:
            return Page([], None)
        wanted = [Condition("p.person_row > ?", (after_row,))]
        if tag is not None:
            carries = "EXISTS (SELECT 1 FROM person_tags AS t WHERE t.person_row = p.person_row AND t.tag = ?)"
            wanted.append(Condition(carries, (tag,)))
        return _page(self._persons(Condition.all_of(wanted), limit + 1), limit)

    def sighting(self, sighting_id: str) -> Sighting:
        """The sighting of that id; raises NotFoundError."""
        found = self._sightings(Condition("s.sighting_id = ?", (sighting_id,)), "")
        return found[0] if found else _not_found("sighting", sighting_id)

    def sightings(self, wanted: Filter, after_row: int, limit: int) -> Page[Sighting]:
        """Sightings that `wanted` lets through, in the order they were enrolled."""
        where = Condition.all_of([condition(wanted, self._cameras), Condition("s.row > ?", (after_row,))])
        found = self._sightings(where, f"ORDER BY s.row LIMIT {limit + 1}")
        return _page([(sighting.row, sighting) for sighting in found], limit)

    def latest_sightings(self, wanted: Filter, before: int | None, limit: int) -> Page[Sighting]:
        """Sightings that `wanted` lets through, the latest captured first.

        What follows a page is `before` its `next_row`, which is a time and a row in one number.
        """
        conditions = [condition(wanted, self._cameras)]
        if before is not None:
            conditions.append(Condition("(s.captured_at_us, s.row) < (?, ?)", divmod(before, _ROWS)))
        latest = f"ORDER BY s.captured_at_us DESC, s.row DESC LIMIT {limit + 1}"
        found = self._sightings(Condition.all_of(conditions), latest)
        return _page([(one.captured_at.us * _ROWS + one.row, one) for one in found], limit)

    def sightings_at(self, rows: Iterable[int]) -> dict[int, Sighting]:
        """The sightings of those row numbers that are there."""
        found: dict[int, Sighting] = {}
        for part in _parts(list(rows)):
            some = self._sightings(Condition(f"s.row IN ({marks(len(part))})", part), "")
            found.update((sighting.row, sighting) for sighting in some)
        return found

    def places(self, rows: Iterable[int]) -> set[Place]:
        """Where the sightings of those row numbers were seen: no more of them is read."""
        found: set[Place] = set()
        for part in _parts(list(rows)):
            where = Condition.all_of([Condition(f"s.row IN ({marks(len(part))})", part), self._visible])
            seen = self._connection.execute(
                f"SELECT DISTINCT s.camera_id, s.tracklet_id FROM sightings AS s WHERE {where.sql}",  # noqa: S608
                where.values,
            )
            found.update(Place(*one) for one in seen)
        return found

    def rows(self, wanted: Filter) -> NDArray[np.int64]:
        """Row numbers (N,) of all sightings that `wanted` lets through, rising."""
        where = condition(wanted, self._cameras)
        cursor = self._connection.execute(
            f"SELECT s.row FROM sightings AS s WHERE {where.sql} ORDER BY s.row",  # noqa: S608 (values are bound)
            where.values,
        )
        return np.fromiter((row for (row,) in cursor), np.int64)

    def rows_of_same_people(self, rows: Iterable[int]) -> NDArray[np.int64]:
        """Row numbers (N,), rising, of all sightings of the people that those at `rows` are of."""
        found: set[int] = set()
        for part in _parts(list(rows)):
            found.update(
                row
                for (row,) in self._connection.execute(
                    "SELECT row FROM sightings WHERE person_row IN"  # noqa: S608 (values are bound)
                    f" (SELECT person_row FROM sightings WHERE row IN ({marks(len(part))}))",
                    part,
                )
            )
        return np.array(sorted(found), np.int64)

    def vectors(
        self, rows: NDArray[np.int64], bundle_id: str, dimension: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Those of `rows` that the bundle embedded (N,), and their vectors (N, dimension) float16."""
        found: list[tuple[int, bytes]] = []
        for part in _parts(rows.tolist()):
            found += self._connection.execute(
                "SELECT v.row, v.vector FROM vectors AS v JOIN bundles USING (bundle)"  # noqa: S608
                f" WHERE bundle_id = ? AND v.row IN ({marks(len(part))}) ORDER BY v.row",
                (bundle_id, *part),
            ).fetchall()
        return _stacked(found, dimension)

    def vectors_of_all_bundles(self, rows: Sequence[int]) -> dict[int, dict[str, bytes]]:
        """Of each of `rows` the vectors by bundle id, as little-endian float16."""
        found: dict[int, dict[str, bytes]] = {row: {} for row in rows}
        for part in _parts(list(rows)):
            for row, bundle_id, vector in self._connection.execute(
                "SELECT v.row, bundle_id, v.vector FROM vectors AS v JOIN bundles USING (bundle)"  # noqa: S608
                f" WHERE v.row IN ({marks(len(part))})",
                part,
            ):
                found[row][bundle_id] = vector
        return found

    def bundles(self) -> dict[str, int]:
        """The bundles that left vectors here, and how long those are."""
        return dict(self._connection.execute("SELECT bundle_id, dimension FROM bundles ORDER BY bundle"))

    def all_vectors(
        self, bundle_id: str, dimension: int, after_row: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
        """Every vector of the bundle after a row, as :meth:`vectors` gives them, in batches of rising row."""
        cursor = self._connection.execute(
            "SELECT row, vector FROM vectors JOIN bundles USING (bundle) WHERE bundle_id = ? AND row > ? ORDER BY row",
            (bundle_id, after_row),
        )
        while batch := cursor.fetchmany(_VECTORS_AT_ONCE):
            yield _stacked(batch, dimension)

    def bundle_dimension(self, bundle_id: str) -> int | None:
        """Length of the vectors the bundle left here, or None if it left none."""
        found = self._connection.execute("SELECT dimension FROM bundles WHERE bundle_id = ?", (bundle_id,)).fetchone()
        return None if found is None else int(found[0])

    def images(self, digits: str) -> set[str]:
        """Content hashes, of those that begin with `digits`, of the crops that sightings need."""
        found = self._connection.execute(
            "SELECT image_sha256 FROM sightings WHERE image_sha256 >= ? AND image_sha256 < ?", (digits, f"{digits}g")
        )
        return {sha256 for (sha256,) in found}

    def is_image_used(self, sha256: str) -> bool:
        """Whether any sighting needs the crop."""
        return self._exists("SELECT 1 FROM sightings WHERE image_sha256 = ?", sha256)

    def sightings_without_vector(self, bundle_id: str) -> tuple[int, int]:
        """How many sightings have no vector of the bundle, and how many there are."""
        total, embedded = self._one(
            "SELECT (SELECT count(*) FROM sightings),"
            " (SELECT count(*) FROM vectors JOIN bundles USING (bundle) WHERE bundle_id = ?)",
            bundle_id,
        )
        return total - embedded, total

    def sightings_by_bundle(self) -> dict[str, int]:
        """How many sightings have a vector of each bundle that left any, of those that this caller may see."""
        seen = "TRUE" if self.sees_all else f"row IN (SELECT s.row FROM sightings AS s WHERE {self._visible.sql})"  # noqa: S608
        found = self._connection.execute(
            "SELECT bundle_id, (SELECT count(*) FROM vectors AS v"  # noqa: S608 (values are bound)
            f" WHERE v.bundle = bundles.bundle AND {seen}) FROM bundles ORDER BY bundle",
            self._visible.values,
        )
        return dict(found)

    def count_sightings(self) -> int:
        """How many there are, whoever may see them."""
        return int(self._one("SELECT count(*) FROM sightings")[0])

    def sightings_to_embed(self, bundle_id: str, after_row: int, limit: int) -> list[Sighting]:
        """At most `limit` sightings after a row, in their order, that have no vector of the bundle."""
        lacking = Condition(
            "s.row > ? AND NOT EXISTS (SELECT 1 FROM vectors AS v WHERE v.row = s.row"
            " AND v.bundle = (SELECT bundle FROM bundles WHERE bundle_id = ?))",
            (after_row, bundle_id),
        )
        return self._sightings(lacking, f"ORDER BY s.row LIMIT {limit}")

    def store_id(self) -> str:
        """The id that this store has and no other."""
        return str(self._one("SELECT store_id FROM store")[0])

    def seal_key(self) -> bytes:
        """The secret (32 bytes) that seals what callers carry without reading it."""
        return bytes(self._one("SELECT seal_key FROM store")[0])

    def receipt(self, receipt_id: str) -> Receipt:
        """The receipt of that id, which must be there."""
        return Receipt.of(*self._one(f"{_RECEIPT} WHERE receipt_id = ?", receipt_id))

    def late_receipt(self, person_id: str) -> Receipt | None:
        """The last receipt for a person whose erasure was not complete when it was answered, or still is not."""
        found = self._one(
            f"{_RECEIPT} WHERE person_id_sha256 = ? AND (completed_at_us IS NULL OR late) ORDER BY receipt_id DESC",
            person_sha256(person_id),
        )
        return None if found is None else Receipt.of(*found)

    def answer(self, key_id: str, key_sha256: str, body_sha256: str) -> tuple[int, str] | None:
        """The change and answer that this idempotency key stands for, or None if it is new.

        Raises IdempotencyError if it stood for another request, ErasedError if its answer was erased.
        """
        found = self._one(
            "SELECT body_sha256, change, answer FROM idempotency WHERE key_id = ? AND key_sha256 = ?",
            *(key_id, key_sha256),
        )
        if found is None:
            return None
        body, change, answer = found
        if body != body_sha256:
            raise IdempotencyError("expected the request that this idempotency key was used for, got another one")
        if answer is None:
            raise ErasedError("what this idempotency key created was erased; use a new key to create it again")
        return change, answer

    def tombstones(self, after_row: int) -> list[tuple[int, bytes]]:
        """Row and hash of what was erased, in that order, after the row given."""
        return tombstones.after(self._connection, after_row)

    def retention(self) -> tuple[RetentionRule, ...]:
        """The rules in force, in the order they were given."""
        found = self._connection.execute("SELECT max_age_s, camera_id, known FROM retention ORDER BY position")
        return tuple(RetentionRule(age, camera, None if known is None else bool(known)) for age, camera, known in found)

    def expired(self, now: Moment, limit: int) -> list[Sighting]:
        """At most `limit` sightings that a rule of :meth:`retention` wants gone at the time `now`."""
        wanted = [_expired(rule, now) for rule in self.retention()]
        if not wanted:
            return []
        return self._sightings(Condition.any_of(wanted), f"LIMIT {limit}")

    def key(self, key_id: str) -> Key | None:
        """The API key of that id, revoked ones included."""
        return find_key(self._connection, key_id)

    def is_revoked(self, key_id: str) -> bool:
        """Whether that was a key once and is none any more; who asks without keys is never revoked."""
        key = self.key(key_id)
        return key is not None and key.is_revoked

    def audit(self, before_row: int | None, limit: int) -> Page[AuditLine]:
        """Audit lines, the latest first, those before `before_row` if one is given."""
        found = self._connection.execute(
            "SELECT row, at_us, key_id, action, person_id, count, change FROM audit"
            " WHERE row < coalesce(?, 9223372036854775807) ORDER BY row DESC LIMIT ?",
            (before_row, limit + 1),
        )
        lines = [AuditLine(row, Moment(at_us), *rest) for row, at_us, *rest in found]
        return _page([(line.row, line) for line in lines], limit)

    def _persons(self, where: Condition, limit: int) -> list[tuple[int, Person]]:
        seen = Condition("sightings > 0" if self._cameras is not None else "TRUE")
        found = self._connection.execute(
            "SELECT p.person_row, p.person_id, p.name,"  # noqa: S608 (values are bound)
            " (SELECT json_group_array(tag) FROM person_tags AS t WHERE t.person_row = p.person_row),"
            " p.metadata, p.created_at_us, p.updated_at_us,"
            " (SELECT count(*) FROM sightings AS s WHERE s.person_row = p.person_row"
            f" AND {self._visible.sql}) AS sightings,"
            " (SELECT json_array(s.sighting_id, s.camera_id, s.captured_at_us, s.captured_at_offset_minutes)"
            " FROM sightings AS s WHERE s.person_row = p.person_row"
            f" AND {self._visible.sql} ORDER BY s.captured_at_us DESC, s.row DESC LIMIT 1)"
            f" FROM persons AS p WHERE {where.sql} AND {seen.sql} ORDER BY p.person_row LIMIT {limit}",
            (*self._visible.values, *self._visible.values, *where.values),
        )
        return [(row, _person(*rest) if self.sees_all else _stranger(*rest)) for row, *rest in found]

    def _sightings(self, where: Condition, order: str) -> list[Sighting]:
        both = Condition.all_of([where, self._visible])
        found = self._connection.execute(f"{_SIGHTING} {both.sql} {order}", both.values)
        return [_sighting(*columns) for columns in found]

    def _one(self, sql: str, *values: object) -> Any:
        return self._connection.execute(sql, values).fetchone()

    def _exists(self, sql: str, *values: object) -> bool:
        return self._one(sql, *values) is not None


def person_sha256(person_id: str) -> str:
    """How a receipt names a person."""
    return sha256(person_id.encode())


def _expired(rule: RetentionRule, now: Moment) -> Condition:
    parts = [Condition("s.captured_at_us < ?", (now.us - rule.max_age_s * 1_000_000,))]
    if rule.camera_id is not None:
        parts.append(Condition("s.camera_id = ?", (rule.camera_id,)))
    if rule.known is not None:
        parts.append(Condition(f"s.person_row IS {'NOT ' if rule.known else ''}NULL"))
    return Condition.all_of(parts)


def _person(
    person_id: str,
    name: str | None,
    tags: str,
    metadata: str,
    created_us: int,
    updated_us: int,
    sightings: int,
    last: str | None,
) -> Person:
    return Person(
        person_id=person_id,
        name=name,
        tags=tuple(json.loads(tags)),
        metadata=json.loads(metadata),
        created_at=Moment(created_us),
        updated_at=Moment(updated_us),
        sightings=sightings,
        last_seen=_appearance(last),
    )


def _stranger(person_id: str, *rest: Any) -> Person:
    """What a caller limited to cameras may know."""
    *_, sightings, last = rest
    return Person(person_id, sightings=sightings, last_seen=_appearance(last))


def _appearance(told: str | None) -> Appearance | None:
    if told is None:
        return None
    sighting_id, camera_id, captured_us, offset = json.loads(told)
    return Appearance(sighting_id, camera_id, Moment(captured_us, offset))


def _sighting(*columns: Any) -> Sighting:
    row, sighting_id, person_id, camera_id, captured_us, offset, tracklet_id, tags, metadata, *rest = columns
    attributes, image_sha256, width_px, height_px, created_us = rest
    return Sighting(
        row=row,
        sighting_id=sighting_id,
        person_id=person_id,
        camera_id=camera_id,
        captured_at=Moment(captured_us, offset),
        tracklet_id=tracklet_id,
        tags=tuple(json.loads(tags)),
        metadata=json.loads(metadata),
        attributes=json.loads(attributes),
        image_sha256=image_sha256,
        width_px=width_px,
        height_px=height_px,
        created_at=Moment(created_us),
    )


def _stacked(found: list[tuple[int, bytes]], dimension: int) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    rows = np.array([row for row, _ in found], np.int64)
    flat = np.frombuffer(b"".join(vector for _, vector in found), "<f2")
    return rows, flat.reshape(len(found), dimension)


def _page(found: list[tuple[int, Any]], limit: int) -> Page[Any]:
    """`found` holds one more than `limit` where there are more."""
    records = [record for _, record in found[:limit]]
    return Page(records, found[limit - 1][0] if len(found) > limit else None)


def _parts(rows: list[int]) -> Iterator[tuple[int, ...]]:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield tuple(rows[start : start + _ROWS_AT_ONCE])


def _not_found(kind: str, name: str) -> NoReturn:
    raise NotFoundError(f"expected a {kind} that exists, got {name!r}")
