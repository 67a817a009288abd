"""The gallery: people, sightings and searches over one ledger. A write is answered once a search finds it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from service.gallery.actions import ActionNews, check_camera
from service.gallery.activation import Models
from service.gallery.crops import sha256_of
from service.gallery.errors import BundleChangedError
from service.gallery.expiry import Expiry
from service.gallery.ledger import Active, Effect
from service.gallery.people import People
from service.gallery.records import Actor, Crop, Once, Person, Sighting, SightingFields, Written
from service.gallery.search import Query, Result, Searcher, Terms
from service.gallery.sqlite import activations
from service.gallery.sqlite.writing import SightingChanges, Writing
from service.gallery.vectors import are_unit


class Gallery(People, Expiry, Models, ActionNews):
    """All that is known, below the folder `home`, searched with the vectors of one bundle at a time.

    `store_address` is the SQLite file or a gallery in Redis, `bundle_id` the bundle in force, whose vectors have
    `dimension` numbers. Those of other bundles are kept, and never compared with. A `device` takes searches without
    filters. Raises HomeError if the folder is
    held by another service or its store cannot be used, StoreError if that does not answer. Safe to call from any
    thread.
    """

    def enrol(
        self, actor: Actor, crops: Sequence[Crop], fields: SightingFields, once: Once[list[Sighting]] | None = None
    ) -> Written[list[Sighting]]:
        """Keep crops as sightings, their person created if that id is new. The crops reach the disk first.

        Raises ForbiddenError for a camera that `actor` is not allowed, BundleChangedError for crops of another bundle
        than the one in force, StoreError when the disk refuses.
        """
        _check_embedded(crops, self._active)
        check_camera(actor, fields.camera_id)
        jpegs = [crop.jpeg for crop in crops]
        written = None
        try:
            with self._crops.keeping(jpegs) as hashes:
                operation = partial(_enrol, crops=crops, hashes=hashes, fields=fields)
                written = self._write(actor, "enrol", operation, once)
            return written
        finally:
            if written is None or written.replay is not None:
                self._retire_soon(sha256_of(jpegs))

    def change_sighting(self, actor: Actor, sighting_id: str, changes: SightingChanges) -> Written[Sighting]:
        """Set some fields of a sighting, or move it to another person; raises NotFoundError."""

        def operation(writing: Writing) -> Effect[Sighting]:
            writing.change_sighting(sighting_id, changes)
            sighting = writing.sighting(sighting_id)
            return Effect(sighting, sighting.person_id)

        return self._write(actor, "change sighting", operation)

    def label_sighting(self, actor: Actor, sighting_id: str, name: str, label: str) -> Written[Sighting]:
        """Set one attribute of a sighting beside those it has; raises NotFoundError."""

        def operation(writing: Writing) -> Effect[Sighting]:
            attributes = writing.sighting(sighting_id).attributes | {name: label}
            writing.change_sighting(sighting_id, {"attributes": attributes})
            sighting = writing.sighting(sighting_id)
            return Effect(sighting, sighting.person_id)

        return self._write(actor, "change sighting", operation)

    def delete_sighting(self, actor: Actor, sighting_id: str) -> Written[None]:
        """Take out one sighting with its vector, and its crop if no other needs it; raises NotFoundError.

        As with :meth:`erase_person`, it is gone from the disk except for what is `pending`.
        """

        def operation(writing: Writing) -> Effect[None]:
            row, crop = writing.delete_sighting(sighting_id)
            return Effect(None, removed=np.array([row], np.int64), lost_crops=[crop])

        return self._erase(actor, "delete sighting", operation)

    def take_in(
        self,
        actor: Actor,
        people: Sequence[Person],
        sightings: Sequence[tuple[Sighting, Mapping[str, NDArray[np.float16]]]],
        jpegs: Sequence[bytes],
    ) -> Written[tuple[int, int, int, int]]:
        """Add people and sightings of another gallery, with their vectors by bundle id, and their crops.

        A sighting's person is among `people`, its crop among `jpegs`. How many people and sightings are new, how many
        sightings were here already, and how many were erased here and stay so. All of it is kept, or nothing.
        """
        operation = partial(_take_in, people=people, sightings=sightings)
        try:
            with self._crops.keeping(jpegs):
                return self._write(actor, "import", operation)
        finally:
            self._retire_soon(sha256_of(jpegs))  # those of sightings that were not added

    def crop(self, actor: Actor, sighting_id: str) -> bytes:
        """The JPEG bytes of a sighting, as they were embedded; raises NotFoundError, DamageError."""
        with self.reading(actor) as reading:
            sighting = reading.sighting(sighting_id)
        return self.kept_crop(sighting)

    def search(self, actor: Actor, asked: Sequence[tuple[Query, Terms]]) -> tuple[list[Result], int]:
        """Answer each query under its terms; the results, and a change that all of them had seen.

        Raises BundleChangedError for a query embedded by another bundle than the one in force.

        The audit line is durable before the answer, except while an erasure rewrites the file: then it is queued,
        and durable right after.
        """
        note = partial(_note_search, actor=actor, queries=[query for query, _ in asked])
        noted = self._store.submit(note)
        # In this order: what is in the index by now is in the snapshot too.
        change, active = self._change, self._active
        view = active.index.view()
        with self.reading(actor) as reading:
            results = Searcher(reading, active.index.through(view, reading), active.bundle_id).search(asked)
        self._store.settle(noted)
        return results, change


def _enrol(
    writing: Writing, crops: Sequence[Crop], hashes: Sequence[str], fields: SightingFields
) -> Effect[list[Sighting]]:
    for crop in crops:
        activations.check_current(writing, crop.bundle_id)
    added = [writing.add_sighting(crop, sha256, fields) for crop, sha256 in zip(crops, hashes, strict=True)]
    sightings = [writing.sighting(sighting_id) for sighting_id, _ in added]
    mentions = [sighting.sighting_id for sighting in sightings]
    return Effect(
        sightings,
        fields.person_id,
        count=len(sightings),
        mentions=[*mentions, fields.person_id] if fields.person_id is not None else mentions,
        added=np.array([row for _, row in added], np.int64),
        vectors=[crop.embedding for crop in crops],
    )


def _take_in(
    writing: Writing,
    people: Sequence[Person],
    sightings: Sequence[tuple[Sighting, Mapping[str, NDArray[np.float16]]]],
) -> Effect[tuple[int, int, int, int]]:
    bundle_id = activations.current(writing).bundle_id
    new_people = {person.person_id: writing.restore_person(person) for person in people}
    rows: list[int | None] = []
    added: dict[int, NDArray[np.float16]] = {}
    for sighting, vectors in sightings:
        erased = sighting.person_id is not None and new_people[sighting.person_id] is None
        row = writing.restore_sighting(replace(sighting, person_id=None) if erased else sighting, vectors)
        rows.append(row)
        if row and bundle_id in vectors:
            added[row] = vectors[bundle_id]
    counts = (
        sum(new is True for new in new_people.values()),
        sum(bool(row) for row in rows),
        sum(row == 0 for row in rows),
        sum(row is None for row in rows),
    )
    return Effect(counts, count=counts[1], added=np.array([*added], np.int64), vectors=[*added.values()])


def _check_embedded(crops: Sequence[Crop], active: Active) -> None:
    """Raise BundleChangedError, and AssertionError for what no bundle may give, before any of it is kept.

    One vector that the index refuses would be refused at every start to come.
    """
    for crop in crops:
        if crop.bundle_id != active.bundle_id:
            raise BundleChangedError.of(active.bundle_id, crop.bundle_id)
        if crop.embedding.shape != (active.dimension,) or not are_unit(crop.embedding[None])[0]:
            raise AssertionError(f"expected a unit vector of shape ({active.dimension},), got {crop.embedding}")


def _note_search(writing: Writing, actor: Actor, queries: Sequence[Query]) -> None:
    """Name the person searched for, where there is just one and they exist."""
    names = {name for query in queries if query.stored is not None for name in query.stored.persons}
    person_id = names.pop() if len(names) == 1 else None
    if person_id is not None and not writing.has_person(person_id):
        person_id = None  # erased meanwhile: the name must not come back
    writing.note(actor, "search", person_id, len(queries), None)
