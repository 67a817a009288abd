"""What one transaction may write: a record and its change number, its audit line and its idempotent answer."""

import json
from collections.abc import Iterable, Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from service.gallery.errors import ConflictError
from service.gallery.records import Actor, Crop, Metadata, Moment, Once, SightingFields, T, new_id
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

    def erase_person(self, person_id: str) -> tuple[str, NDArray[np.int64], set[str]]:
        """Take out the person and all that speaks of them: the id of the receipt, the rows, and the crops they had.

        Raises NotFoundError. Crops that other sightings still need are not counted in the receipt.
        """
        self.person(person_id)
        row = self._person_row(person_id)
        gone = self._connection.execute(
            "SELECT row, sighting_id, image_sha256 FROM sightings WHERE person_row = ?", (row,)
        ).fetchall()
        self._forget_answers([person_id, *(sighting_id for _, sighting_id, _ in gone)])
        self._run("DELETE FROM sightings WHERE person_row = ?", row)
        self._run("DELETE FROM persons WHERE person_row = ?", row)
        self._run("UPDATE audit SET person_id = NULL WHERE person_id = ?", person_id)
        crops = {sha256 for *_, sha256 in gone}
        unused = sum(not self.is_image_used(sha256) for sha256 in crops)
        receipt_id = self._write_receipt(person_id, len(gone), unused)
        return receipt_id, np.array([number for number, *_ in gone], np.int64), crops

    def add_sighting(self, crop: Crop, image_sha256: str, fields: SightingFields) -> tuple[str, int]:
        """Add a sighting with its vector, and its person if that id is new; its id and row number."""
        sighting_id = new_id()
        (row,) = self._one(
            "INSERT INTO sightings (sighting_id, person_row, camera_id, captured_at_us,"
            " captured_at_offset_minutes, tracklet_id, metadata, image_sha256, width_px, height_px, created_at_us)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING row",
            sighting_id,
            self._row_of_person_or_new(fields.person_id),
            fields.camera_id,
            fields.captured_at.us,
            fields.captured_at.offset_minutes,
            fields.tracklet_id,
            json.dumps(fields.metadata),
            *(image_sha256, crop.width_px, crop.height_px, Moment.now().us),
        )
        self._set_tags("sighting_tags", "row", row, fields.tags)
        self._add_vector(row, crop)
        return sighting_id, row

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
        if "tags" in changes:
            self._set_tags("sighting_tags", "row", row, changes["tags"])

    def delete_sighting(self, sighting_id: str) -> tuple[int, str]:
        """Take out a sighting and the answers that speak of it: its row, and the crop it had."""
        sighting = self.sighting(sighting_id)
        self._forget_answers([sighting_id])
        self._run("DELETE FROM sightings WHERE row = ?", sighting.row)
        return sighting.row, sighting.image_sha256

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

    def _add_vector(self, row: int, crop: Crop) -> None:
        self._run(
            "INSERT INTO bundles (bundle_id, dimension) VALUES (?, ?) ON CONFLICT DO NOTHING",
            *(crop.bundle_id, len(crop.embedding)),
        )
        vector = crop.embedding.astype("<f2").tobytes()
        self._run(
            "INSERT INTO vectors SELECT bundle, ?, ? FROM bundles WHERE bundle_id = ?", row, vector, crop.bundle_id
        )

    def _set_tags(self, table: str, column: str, row: int, tags: Iterable[str]) -> None:
        self._run(f"DELETE FROM {table} WHERE {column} = ?", row)  # noqa: S608 (names of our own)
        self._connection.executemany(
            f"INSERT INTO {table} ({column}, tag) VALUES (?, ?)",  # noqa: S608 (names of our own)
            [(row, tag) for tag in sorted(set(tags))],
        )

    def _run(self, sql: str, *values: object) -> None:
        self._connection.execute(sql, values)
