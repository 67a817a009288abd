"""Sightings in, sightings out."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, Field, FiniteFloat, model_validator

from service.fields import (
    MAX_IMAGES,
    Attributes,
    Base64,
    CameraId,
    Metadata,
    PageAnswer,
    PageQuery,
    PersonId,
    Strict,
    Tag,
    Tags,
    Time,
    TrackletId,
    microseconds,
)
from service.gallery.filters import Filter
from service.gallery.records import Sighting
from service.gallery.sqlite.writing import SightingChanges


class EnrolFields(Strict):
    """What is said of the crops to enrol."""

    person_id: PersonId | None = None
    camera_id: CameraId | None = None
    captured_at: Time | None = Field(default=None, description="default: now")
    tracklet_id: TrackletId | None = None
    box_xyxy: Annotated[list[FiniteFloat], Field(min_length=4, max_length=4)] | None = Field(
        default=None, description="pixels of the one frame that is sent: left, top, right, bottom"
    )
    detect: bool = Field(
        default=False, description="find the people in the one frame that is sent, and enrol each; needs REID_DETECTOR"
    )
    tags: Tags = Field(default_factory=list)
    metadata: Metadata = Field(default_factory=dict)

    @model_validator(mode="after")
    def _detected_people_are_not_known_yet(self) -> Self:
        if self.detect and (self.person_id or self.tracklet_id or self.box_xyxy):
            raise ValueError("expected a frame of people not known yet with detect, got a person, a tracklet or a box")
        return self


class EnrolIn(EnrolFields):
    """Crops to enrol, as JSON."""

    images: Annotated[list[Base64], Field(min_length=1, max_length=MAX_IMAGES)]


class SightingPatch(Strict):
    """Fields of a sighting to set; what is left out stays. A new person_id is created, null makes it unknown."""

    person_id: PersonId | None = None
    tags: Tags = Field(default_factory=list)
    metadata: Metadata = Field(default_factory=dict)

    def changes(self) -> SightingChanges:
        """What was said."""
        return cast(SightingChanges, self.model_dump(exclude_unset=True))


class AttributesIn(Strict):
    """Labels of a sighting, by classifiers or people. They take the place of all it had."""

    attributes: Attributes

    def changes(self) -> SightingChanges:
        """What was said."""
        return {"attributes": self.attributes}


class SightingOut(BaseModel):
    """A sighting."""

    sighting_id: str
    person_id: str | None
    camera_id: str | None
    captured_at: datetime
    tracklet_id: str | None
    tags: list[str]
    metadata: dict[str, Any]
    attributes: dict[str, str]
    image_sha256: str
    width_px: int
    height_px: int
    created_at: datetime

    @classmethod
    def of(cls, sighting: Sighting) -> Self:
        """From the record."""
        return cls(
            sighting_id=sighting.sighting_id,
            person_id=sighting.person_id,
            camera_id=sighting.camera_id,
            captured_at=sighting.captured_at.datetime(),
            tracklet_id=sighting.tracklet_id,
            tags=list(sighting.tags),
            metadata=sighting.metadata,
            attributes=sighting.attributes,
            image_sha256=sighting.image_sha256,
            width_px=sighting.width_px,
            height_px=sighting.height_px,
            created_at=sighting.created_at.datetime(),
        )


class SightingAnswer(SightingOut):
    """A sighting, and a change that it includes."""

    change: int


class SightingsQuery(PageQuery):
    """Which sightings to list."""

    person_id: PersonId | None = None
    camera_id: CameraId | None = None
    tracklet_id: TrackletId | None = None
    known: bool | None = Field(default=None, description="true: of known people; false: of nobody known yet")
    tag: Tag | None = None
    since: Time | None = None
    until: Time | None = None
    order: Literal["enrolled", "latest"] = Field(
        default="enrolled", description="as they were enrolled, or the latest captured first"
    )

    def to_filter(self) -> Filter:
        """The same as a filter; raises FilterError for a time range that holds nothing."""
        return Filter(
            persons=_one(self.person_id),
            known=self.known,
            cameras=_one(self.camera_id),
            tracklets=_one(self.tracklet_id),
            tags=_one(self.tag),
            since_us=microseconds(self.since),
            until_us=microseconds(self.until),
        )


class EnrolAnswer(BaseModel):
    """The sightings that were made, in the order of their images."""

    sightings: list[SightingOut]
    change: int


class SightingsAnswer(PageAnswer):
    """A page of sightings."""

    sightings: list[SightingOut]


class DeletedAnswer(BaseModel):
    """A sighting that is gone."""

    sighting_id: str
    pending: list[str] = Field(description="what is not gone from the disk yet: `crops`, `index`, `database`")
    change: int


def _one(name: str | None) -> tuple[str, ...]:
    return () if name is None else (name,)
