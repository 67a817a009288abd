"""People: named, changed, merged, split and erased."""

from collections.abc import Collection

from service.gallery.errors import NotFoundError
from service.gallery.ledger import Effect, Ledger
from service.gallery.records import Actor, Metadata, Once, Person, Receipt, Written, new_id
from service.gallery.sqlite.writing import PersonChanges, Writing


class People(Ledger):
    """What a gallery does to people."""

    def add_person(
        self,
        actor: Actor,
        person_id: str,
        name: str | None,
        tags: tuple[str, ...],
        metadata: Metadata,
        once: Once[Person] | None = None,
    ) -> Written[Person]:
        """Add a person without sightings; raises ConflictError if the id is taken."""

        def operation(writing: Writing) -> Effect[Person]:
            writing.add_person(person_id, name, tags, metadata)
            return Effect(writing.person(person_id), person_id, mentions=[person_id])

        return self._write(actor, "add person", operation, once)

    def change_person(self, actor: Actor, person_id: str, changes: PersonChanges) -> Written[Person]:
        """Set some fields of a person; raises NotFoundError."""

        def operation(writing: Writing) -> Effect[Person]:
            writing.change_person(person_id, changes)
            return Effect(writing.person(person_id), person_id)

        return self._write(actor, "change person", operation)

    def merge(self, actor: Actor, person_id: str, other_id: str, once: Once[Person] | None = None) -> Written[Person]:
        """Two identities were one: all of `other_id` becomes part of `person_id`, and the other id is free.

        Tags are united; name and metadata of `person_id` win. Raises NotFoundError, ConflictError for a person and
        themselves, ForbiddenError for an actor limited to cameras.
        """
        actor.check_unlimited("merge people")

        def operation(writing: Writing) -> Effect[Person]:
            moved = writing.merge_persons(person_id, other_id)
            return Effect(writing.person(person_id), person_id, count=moved, mentions=[person_id])

        return self._write(actor, "merge", operation, once)

    def split(
        self,
        actor: Actor,
        person_id: str,
        sighting_ids: Collection[str],
        into: str | None = None,
        once: Once[Person] | None = None,
    ) -> Written[Person]:
        """One identity was two: some of their sightings become those of `into`, the person that is returned.

        An id that is new is created; None makes one up. Raises NotFoundError for sightings that are not theirs or
        none at all, ConflictError for a person and themselves. Nothing moves unless all of them do.
        """
        other_id = new_id() if into is None else into

        def operation(writing: Writing) -> Effect[Person]:
            moved = writing.split_person(person_id, sighting_ids, other_id)
            return Effect(writing.person(other_id), person_id, count=moved, mentions=[person_id, other_id])

        return self._write(actor, "split", operation, once)

    def erase_person(self, actor: Actor, person_id: str) -> Written[Receipt]:
        """Take out a person with all sightings, vectors, crops and mentions of them; raises NotFoundError.

        When this returns their bytes are gone from the database, its log and the crops, except for what is
        `pending`: that is tried again until it is gone, and who asks again is given the same receipt.
        """

        def operation(writing: Writing) -> Effect[str]:
            receipt_id, rows, crops = writing.erase_person(person_id)
            return Effect(receipt_id, count=len(rows), removed=rows, lost_crops=crops)

        try:
            written = self._erase(actor, "erase person", operation)
        except NotFoundError:
            with self.reading(actor) as reading:
                receipt = reading.late_receipt(person_id)
                if receipt is None:
                    raise
                # Another service over the same store may have it still to do: of that, only the receipt tells.
                pending = () if receipt.completed_at else (self.pending or ("database",))
                return Written(receipt, reading.change(), pending=pending)
        assert written.value is not None
        with self.reading(actor) as reading:
            return Written(reading.receipt(written.value), written.change, pending=written.pending)
