"""What one transaction may write: a record and its change number, its audit line and its idempotent answer."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from service.gallery.errors import ConflictError, NotFoundError
from service.gallery.records import (
    Actor,
    Crop,
    Metadata,
    Moment,
    Once,
    Person,
    RetentionRule,
    Sighting,
    SightingFields,
    T,
    new_id,
)
from service.gallery.sqlite import tombstones
from service.gallery.sqlite.reading import Reading, person_sha256

_ANSWERS_KEPT_DAYS = 7  # a client that repeats a request does so within days


class PersonChanges(TypedDict, total=False):
    """The fields of a person to set; a field that is not named stays."""

    name: str | None
    tags: Sequence[str]
    metadata: Metadata


class SightingChanges(TypedDict, total=False):
    """The fields of a sighting to set; a field that is not named stays. A person_id that is new is created."""

    person_id: str | None
    tags: Sequence[str]
    metadata: Metadata
    attributes: dict[str, str]


class Writing(Reading):
    """A transaction on behalf of an actor: all that it writes becomes durable together, or none of it."""

    def begin_change(self) -> int:
        """Take the next change number."""
        return int(self._one("UPDATE counters SET value = value + 1 WHERE name = 'change' RETURNING value")[0])

    def has_person(self, person_id: str) -> bool:
        """Whether the id is taken, be it by a person that the actor cannot see."""
        return self._person_row(person_id) is not None

    def add_person(self, person_id: str, name: str | None, tags: Iterable[str], metadata: Metadata) -> None:
        """Add a person; raises ConflictError if the id is taken."""
        if self.has_person(person_id):
            raise ConflictError(f"expected a person_id that is free, got {person_id!r}")
        now = Moment.now().us
        (row,) = self._one(
            "INSERT INTO persons (person_id, name, metadata, created_at_us, updated_at_us)"
            " VALUES (?, ?, ?, ?, ?) RETURNING person_row",
            *(person_id, name, json.dumps(metadata), now, now),
        )
        self._set_tags("person_tags", "person_row", row, tags)

    def change_person(self, person_id: str, changes: PersonChanges) -> None:
        """Set some fields of a person; raises NotFoundError."""
        self.person(person_id)
        row = self._person_row(person_id)
        assert row is not None
        if "name" in changes:
            self._run("UPDATE persons SET name = ? WHERE person_row = ?", changes["name"], row)
        if "metadata" in changes:
            self._run("UPDATE persons SET metadata = ? WHERE person_row = ?", json.dumps(changes["metadata"]), row)
        if "tags" in changes:
            self._set_tags("person_tags", "person_row", row, changes["tags"])
        self._run("UPDATE persons SET updated_at_us = ? WHERE person_row = ?", Moment.now().us, row)

    def merge_persons(self, person_id: str, other_id: str) -> int:
        """Make all of the person `other_id` part of `person_id`; how many sightings came over.

        Tags are united. The name and the metadata that `person_id` has stay, and what it lacks comes from the other.
        The other id is free afterwards: what spoke of it now speaks of `person_id`, and is erased with them. Raises
        NotFoundError, ConflictError for a person and themselves.
        """
        kept, other = self.person(person_id), self.person(other_id)
        row, other_row = self._person_row(person_id), self._person_row(other_id)
        if row == other_row:
            raise ConflictError(f"expected two people to merge, got {person_id!r} twice")
        name = kept.name if kept.name is not None else other.name
        metadata, tags = {**other.metadata, **kept.metadata}, {*kept.tags, *other.tags}
        self.change_person(person_id, {"name": name, "metadata": metadata, "tags": sorted(tags)})
        self._run("UPDATE sightings SET person_row = ? WHERE person_row = ?", row, other_row)
        self._run("UPDATE audit SET person_id = ? WHERE person_id = ?", person_id, other_id)
        self._run("UPDATE OR REPLACE idempotency_mentions SET subject = ? WHERE subject = ?", *(person_id, other_id))
        self._run("UPDATE merged SET person_row = ? WHERE person_row = ?", row, other_row)
        self._run("INSERT INTO merged VALUES (?, ?)", row, _tombstone_of(other))
        self._run("DELETE FROM persons WHERE person_row = ?", other_row)
        return other.sightings

    def split_person(self, person_id: str, sighting_ids: Collection[str], into: str) -> int:
        """Move sightings of a person to another, who is created if the id is new; how many moved.

        Raises NotFoundError for no sightings and for those of others, ConflictError for a person and themselves.
        """
        self.person(person_id)
        if into == person_id:
            raise ConflictError(f"expected another person to split {person_id!r} into, got the same one")
        if not sighting_ids:
            raise NotFoundError(f"expected sightings of {person_id!r} to split off, got none")
        for sighting_id in set(sighting_ids):
            if self.sighting(sighting_id).person_id != person_id:
                raise NotFoundError(f"expected sightings of {person_id!r}, got {sighting_id!r}")
            self.change_sighting(sighting_id, {"person_id": into})
        return len(set(sighting_ids))

    def erase_person(self, person_id: str) -> tuple[str, NDArray[np.int64], set[str]]:
        """Take out the person and all that speaks of them: the id of the receipt, the rows, and the crops they had.

        Raises NotFoundError. Crops that other sightings still need are not counted in the receipt.
        """
        person, row = self.person(person_id), self._person_row(person_id)
        gone = self._connection.execute(
            "SELECT row, sighting_id, image_sha256 FROM sightings WHERE person_row = ?", (row,)
        ).fetchall()
        self._forget_answers([person_id, *(sighting_id for _, sighting_id, _ in gone)])
        merged = self._connection.execute("SELECT sha256 FROM merged WHERE person_row = ?", (row,)).fetchall()
        tombstones.add(self._connection, [_tombstone_of(person), *(sha256 for (sha256,) in merged)])
        tombstones.add(self._connection, [tombstones.of_sighting(sighting_id) for _, sighting_id, _ in gone])
        self._run("DELETE FROM sightings WHERE person_row = ?", row)
        self._run("DELETE FROM persons WHERE person_row = ?", row)
        self._run("UPDATE audit SET person_id = NULL WHERE person_id = ?", person_id)
        crops = {sha256 for *_, sha256 in gone}
        unused = sum(not self.is_image_used(sha256) for sha256 in crops)
        receipt_id = self._write_receipt(person_id, len(gone), unused)
        return receipt_id, np.array([number for number, *_ in gone], np.int64), crops

    def add_sighting(self, crop: Crop, image_sha256: str, fields: SightingFields) -> tuple[str, int]:
        """Add a sighting with its vector, and its person if that id is new; its id and row number."""
        sighting = Sighting(
            row=0,
            sighting_id=new_id(),
            person_id=fields.person_id,
            camera_id=fields.camera_id,
            captured_at=fields.captured_at,
            tracklet_id=fields.tracklet_id,
            tags=fields.tags,
            metadata=fields.metadata,
            attributes={},
            image_sha256=image_sha256,
            width_px=crop.width_px,
            height_px=crop.height_px,
            created_at=Moment.now(),
        )
        row = self._insert_sighting(sighting)
        self.add_vector(row, crop.bundle_id, crop.embedding)
        return sighting.sighting_id, row

    def restore_person(self, person: Person) -> bool | None:
        """Add a person as they were elsewhere: True if they are new, False if the id is taken, None if erased here."""
        if tombstones.has(self._connection, _tombstone_of(person)):
            return None
        if self.has_person(person.person_id):
            return False
        assert person.created_at is not None
        assert person.updated_at is not None
        self.add_person(person.person_id, person.name, person.tags, person.metadata)
        self._run(
            "UPDATE persons SET created_at_us = ?, updated_at_us = ? WHERE person_id = ?",
            *(person.created_at.us, person.updated_at.us, person.person_id),
        )
        return True

    def restore_sighting(self, sighting: Sighting, vectors: Mapping[str, NDArray[np.float16]]) -> int | None:
        """Add a sighting as it was elsewhere: its row if it is new, 0 if it is here already, None if erased here.

        Raises ConflictError for vectors that are not as long as those that their bundle left here.
        """
        if tombstones.has(self._connection, tombstones.of_sighting(sighting.sighting_id)):
            return None
        if self._exists("SELECT 1 FROM sightings WHERE sighting_id = ?", sighting.sighting_id):
            return 0
        row = self._insert_sighting(sighting)
        for bundle_id, vector in vectors.items():
            self.add_vector(row, bundle_id, vector)
        return row

    def add_vector(self, row: int, bundle_id: str, vector: NDArray[np.float16]) -> None:
        """Keep the vector (D,) float16 that a bundle made of the sighting at `row`.

        Raises ConflictError if the bundle's others have another length.
        """
        bundle = self.add_bundle(bundle_id, len(vector))
        self._run("INSERT INTO vectors VALUES (?, ?, ?)", bundle, row, vector.astype("<f2").tobytes())

    def embed_again(self, row: int, bundle_id: str, vector: NDArray[np.float16]) -> None:
        """:meth:`add_vector`, unless the sighting is gone or has one of that bundle."""
        has = "SELECT 1 FROM vectors JOIN bundles USING (bundle) WHERE bundle_id = ? AND row = ?"
        if self._exists("SELECT 1 FROM sightings WHERE row = ?", row) and not self._exists(has, bundle_id, row):
            self.add_vector(row, bundle_id, vector)

    def add_bundle(self, bundle_id: str, dimension: int) -> int:
        """The number that a bundle has here; raises ConflictError if its vectors have another length."""
        self._run(
            "INSERT INTO bundles (bundle_id, dimension) VALUES (?, ?) ON CONFLICT DO NOTHING", bundle_id, dimension
        )
        (bundle, known) = self._one("SELECT bundle, dimension FROM bundles WHERE bundle_id = ?", bundle_id)
        if known != dimension:
            raise ConflictError(f"expected vectors of {known} numbers of this bundle, got {dimension}")
        return int(bundle)

    def change_sighting(self, sighting_id: str, changes: SightingChanges) -> None:
        """Set some fields of a sighting; raises NotFoundError.

        Answers that were kept for idempotency stay: they say what was so when they were given.
        """
        row = self.sighting(sighting_id).row
        if "person_id" in changes:
            person = self._row_of_person_or_new(changes["person_id"])
            self._run("UPDATE sightings SET person_row = ? WHERE row = ?", person, row)
        if "metadata" in changes:
            self._run("UPDATE sightings SET metadata = ? WHERE row = ?", json.dumps(changes["metadata"]), row)
        if "attributes" in changes:
            self._run("UPDATE sightings SET attributes = ? WHERE row = ?", json.dumps(changes["attributes"]), row)
        if "tags" in changes:
            self._set_tags("sighting_tags", "row", row, changes["tags"])

    def delete_sighting(self, sighting_id: str) -> tuple[int, str]:
        """Take out a sighting and the answers that speak of it: its row, and the crop it had."""
        sighting = self.sighting(sighting_id)
        tombstones.add(self._connection, [tombstones.of_sighting(sighting_id)])
        self._delete([sighting])
        return sighting.row, sighting.image_sha256

    def delete_expired(self, now: Moment, limit: int) -> list[Sighting]:
        """Take out at most `limit` sightings that the retention rules want gone, and return them.

        They leave no tombstones: the rules apply to what a backup or an archive brings back, too.
        """
        expired = self.expired(now, limit)
        self._delete(expired)
        self.owe_scrub()
        return expired

    def bury(self, hashes: Collection[bytes]) -> list[Sighting]:
        """Take out what `hashes` name, and remember them; the sightings that went.

        A sighting that was moved to another person before its own was erased is named by no hash: it stays, and is
        nobody's.
        """
        tombstones.add(self._connection, hashes)
        people, sighting_ids = tombstones.buried(self._connection, hashes)
        gone = [self.sighting(sighting_id) for sighting_id in sighting_ids]
        self._delete(gone)
        for row in people:
            (person_id,) = self._one("SELECT person_id FROM persons WHERE person_row = ?", row)
            self._forget_answers([person_id])
            self._run("UPDATE audit SET person_id = NULL WHERE person_id = ?", person_id)
            self._run("UPDATE sightings SET person_row = NULL WHERE person_row = ?", row)
            self._run("DELETE FROM persons WHERE person_row = ?", row)
        return gone

    def owe_scrub(self) -> None:
        """Something was deleted: until it is gone from the disk, every start sees to that."""
        self._run("UPDATE counters SET value = 1 WHERE name = 'scrub_due'")

    def set_retention(self, rules: Sequence[RetentionRule]) -> None:
        """Replace the retention rules."""
        self._run("DELETE FROM retention")
        self._connection.executemany(
            "INSERT INTO retention (max_age_s, camera_id, known) VALUES (?, ?, ?)",
            [(rule.max_age_s, rule.camera_id, rule.known) for rule in rules],
        )

    def note(self, actor: Actor, action: str, person_id: str | None, count: int, change: int | None) -> None:
        """Write an audit line: who did what to how many."""
        self._run(
            "INSERT INTO audit (at_us, key_id, action, person_id, count, change) VALUES (?, ?, ?, ?, ?, ?)",
            *(Moment.now().us, actor.key_id, action, person_id, count, change),
        )

    def remember(self, actor: Actor, once: Once[T], change: int, answer: str, mentions: Iterable[str]) -> None:
        """Keep `answer` under the idempotency key, and whom it mentions; forget those that are too old."""
        now = Moment.now().us
        self._run("DELETE FROM idempotency WHERE created_at_us < ?", now - _ANSWERS_KEPT_DAYS * 86_400_000_000)
        self._run(
            "INSERT INTO idempotency VALUES (?, ?, ?, ?, ?, ?)",
            *(actor.key_id, once.key_sha256, once.body_sha256, change, answer, now),
        )
        self._connection.executemany(
            "INSERT INTO idempotency_mentions VALUES (?, ?, ?)",
            [(subject, actor.key_id, once.key_sha256) for subject in set(mentions)],
        )

    def _delete(self, sightings: Sequence[Sighting]) -> None:
        self._forget_answers([sighting.sighting_id for sighting in sightings])
        self._connection.executemany("DELETE FROM sightings WHERE row = ?", [(sighting.row,) for sighting in sightings])

    def _forget_answers(self, subjects: list[str]) -> None:
        for subject in subjects:
            self._run(
                "UPDATE idempotency SET answer = NULL WHERE (key_id, key_sha256) IN"
                " (SELECT key_id, key_sha256 FROM idempotency_mentions WHERE subject = ?)",
                subject,
            )
            self._run("DELETE FROM idempotency_mentions WHERE subject = ?", subject)

    def _write_receipt(self, person_id: str, sightings: int, images: int) -> str:
        receipt_id, digest = new_id(), person_sha256(person_id)
        self._run("INSERT INTO receipts VALUES (?, ?, ?, ?, NULL, 0)", receipt_id, digest, sightings, images)
        return receipt_id

    def _row_of_person_or_new(self, person_id: str | None) -> int | None:
        if person_id is None:
            return None
        if self._person_row(person_id) is None:
            self.add_person(person_id, None, (), {})
        return self._person_row(person_id)

    def _person_row(self, person_id: str) -> int | None:
        found = self._one("SELECT person_row FROM persons WHERE person_id = ?", person_id)
        return None if found is None else int(found[0])

    def _insert_sighting(self, sighting: Sighting) -> int:
        (row,) = self._one(
            "INSERT INTO sightings (sighting_id, person_row, camera_id, captured_at_us, captured_at_offset_minutes,"
            " tracklet_id, metadata, attributes, image_sha256, width_px, height_px, created_at_us)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING row",
            sighting.sighting_id,
            self._row_of_person_or_new(sighting.person_id),
            sighting.camera_id,
            *(sighting.captured_at.us, sighting.captured_at.offset_minutes),
            sighting.tracklet_id,
            *(json.dumps(sighting.metadata), json.dumps(sighting.attributes)),
            *(sighting.image_sha256, sighting.width_px, sighting.height_px, sighting.created_at.us),
        )
        self._set_tags("sighting_tags", "row", row, sighting.tags)
        return int(row)

    def _set_tags(self, table: str, column: str, row: int, tags: Iterable[str]) -> None:
        self._run(f"DELETE FROM {table} WHERE {column} = ?", row)  # noqa: S608 (names of our own)
        self._connection.executemany(
            f"INSERT INTO {table} ({column}, tag) VALUES (?, ?)",  # noqa: S608 (names of our own)
            [(row, tag) for tag in sorted(set(tags))],
        )

    def _run(self, sql: str, *values: object) -> None:
        self._connection.execute(sql, values)


def _tombstone_of(person: Person) -> bytes:
    assert person.created_at is not None  # nobody limited to cameras gets here
    return tombstones.of_person(person.person_id, person.created_at.us)
