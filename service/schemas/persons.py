"""People in, people out."""

from datetime import datetime
from typing import Annotated, Any, Self, cast

from pydantic import BaseModel, Field

from service.fields import (
    MAX_LIST,
    Metadata,
    PageAnswer,
    PageQuery,
    PersonId,
    PersonName,
    SightingId,
    Strict,
    Tag,
    Tags,
    shown,
)
from service.gallery.records import Person, Receipt
from service.gallery.sqlite.writing import PersonChanges


class PersonIn(Strict):
    """A person to add."""

    person_id: PersonId
    name: PersonName | None = None
    tags: Tags = Field(default_factory=list)
    metadata: Metadata = Field(default_factory=dict)


class PersonPatch(Strict):
    """Fields of a person to set; what is left out stays."""

    name: PersonName | None = None
    tags: Tags = Field(default_factory=list)
    metadata: Metadata = Field(default_factory=dict)

    def changes(self) -> PersonChanges:
        """What was said."""
        return cast(PersonChanges, self.model_dump(exclude_unset=True))


class MergeIn(Strict):
    """Who turned out to be the same person."""

    other_id: PersonId = Field(description="their sightings and tags go over; then this id is free")


class SplitIn(Strict):
    """Which sightings are of somebody else."""

    sighting_ids: Annotated[list[SightingId], Field(min_length=1, max_length=MAX_LIST)]
    into: PersonId | None = Field(default=None, description="who that is, created if new; default: an id is made up")


class AppearanceOut(BaseModel):
    """When and where somebody was seen."""

    sighting_id: str
    camera_id: str | None
    captured_at: datetime


class PersonOut(BaseModel):
    """A person as this key sees them. To a key limited to cameras only person_id, sightings and last_seen are shown."""

    person_id: str
    name: str | None
    tags: list[str]
    metadata: dict[str, Any]
    sightings: int = Field(description="those that this key sees")
    last_seen: AppearanceOut | None = Field(description="the latest of them, by captured_at")
    created_at: datetime | None
    updated_at: datetime | None

    @classmethod
    def of(cls, person: Person) -> Self:
        """From the record."""
        return cls(
            person_id=person.person_id,
            name=person.name,
            tags=list(person.tags),
            metadata=person.metadata,
            sightings=person.sightings,
            last_seen=_latest(person),
            created_at=shown(person.created_at),
            updated_at=shown(person.updated_at),
        )


def _latest(person: Person) -> AppearanceOut | None:
    if (last := person.last_seen) is None:
        return None
    return AppearanceOut(
        sighting_id=last.sighting_id, camera_id=last.camera_id, captured_at=last.captured_at.datetime()
    )


class PersonAnswer(PersonOut):
    """A person, and a change that it includes."""

    change: int


class PersonsQuery(PageQuery):
    """Which people to list."""

    tag: Tag | None = None


class PersonsAnswer(PageAnswer):
    """A page of people."""

    persons: list[PersonOut]


class ReceiptOut(BaseModel):
    """What an erasure erased."""

    receipt_id: str
    person_id_sha256: str
    sightings: int
    images: int
    completed_at: datetime | None = Field(description="when all of it was gone from the disk; null: not yet")
    pending: list[str] = Field(
        description="what is not done yet: `crops`, `archives`, `tombstones`, `index`, `database`, `receipt`"
    )

    @classmethod
    def of(cls, receipt: Receipt, pending: tuple[str, ...]) -> Self:
        """From the record."""
        return cls(
            receipt_id=receipt.receipt_id,
            person_id_sha256=receipt.person_id_sha256,
            sightings=receipt.sightings,
            images=receipt.images,
            completed_at=shown(receipt.completed_at),
            pending=list(pending),
        )


class ErasureAnswer(BaseModel):
    """The receipt of an erasure."""

    receipt: ReceiptOut
    change: int
