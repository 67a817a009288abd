"""The records of a gallery, as frozen values. Times are int64 microseconds UTC with the offset in minutes."""

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from service.gallery.errors import ForbiddenError

Metadata = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Moment:
    """A point in time as it was written: `us` microseconds since 1970 UTC, shown `offset_minutes` east of it."""

    us: int
    offset_minutes: int = 0

    @classmethod
    def now(cls) -> "Moment":
        """The present, in UTC."""
        return cls(time.time_ns() // 1000)

    @classmethod
    def of(cls, when: datetime) -> "Moment":
        """From a datetime with an offset; raises ValueError for one without."""
        offset = when.utcoffset()
        if offset is None:
            raise ValueError("expected a time with an offset, such as 2026-01-31T12:00:00+01:00")
        since_epoch = when - datetime(1970, 1, 1, tzinfo=UTC)
        return cls(since_epoch // timedelta(microseconds=1), offset // timedelta(minutes=1))

    def datetime(self) -> datetime:
        """With the offset it was given in."""
        local = timezone(timedelta(minutes=self.offset_minutes))
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.us)).astimezone(local)


@dataclass(frozen=True)
class Appearance:
    """When and where somebody was seen."""

    sighting_id: str
    camera_id: str | None
    captured_at: Moment


@dataclass(frozen=True)
class Person:
    """An identity that the operator named. `sightings` counts those that the caller may see, `last_seen` is the latest.

    To a caller limited to cameras that is all there is: the other fields stay empty.
    """

    person_id: str
    name: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=dict)
    created_at: Moment | None = None
    updated_at: Moment | None = None
    sightings: int = 0
    last_seen: Appearance | None = None


@dataclass(frozen=True)
class Crop:
    """What is kept of an image: its JPEG bytes, and the embedding (D,) float16 computed from just those bytes."""

    jpeg: bytes
    width_px: int
    height_px: int
    embedding: NDArray[np.float16]
    bundle_id: str


@dataclass(frozen=True)
class SightingFields:
    """What a caller says of the crops it enrols; the same for all crops of one call."""

    captured_at: Moment
    person_id: str | None = None
    camera_id: str | None = None
    tracklet_id: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True)
class Sighting:
    """One crop of a person: image, camera, time. `row` is its number inside, never reused, never shown."""

    row: int
    sighting_id: str
    person_id: str | None
    camera_id: str | None
    captured_at: Moment
    tracklet_id: str | None
    tags: tuple[str, ...]
    metadata: Metadata
    attributes: dict[str, str]
    image_sha256: str
    width_px: int
    height_px: int
    created_at: Moment


class Place(NamedTuple):
    """Where somebody was seen: by which camera, in which tracklet."""

    camera_id: str | None
    tracklet_id: str | None


@dataclass(frozen=True)
class Receipt:
    """What an erasure erased; the person appears as a hash only. Without `completed_at` it is not gone yet."""

    receipt_id: str
    person_id_sha256: str
    sightings: int
    images: int
    completed_at: Moment | None

    @classmethod
    def of(
        cls, receipt_id: str, person_id_sha256: str, sightings: int, images: int, completed_us: int | None
    ) -> "Receipt":
        """From a row of the store."""
        completed_at = None if completed_us is None else Moment(completed_us)
        return cls(receipt_id, person_id_sha256, sightings, images, completed_at)


@dataclass(frozen=True)
class ActionSeen:
    """What an action bundle recognised on a camera, from when to when, and how sure it was at most."""

    action_id: str
    camera_id: str
    label: str
    score: float
    bundle_id: str
    started_at: Moment
    ended_at: Moment


@dataclass(frozen=True)
class RetentionRule:
    """Sightings captured longer than `max_age_s` seconds ago go: those of a camera, of people or of nobody, or all."""

    max_age_s: int
    camera_id: str | None = None
    known: bool | None = None


@dataclass(frozen=True)
class Activation:
    """A bundle in force, how many numbers its vectors have, and which was in force `before` (None: no other)."""

    bundle_id: str
    dimension: int
    since: Moment
    before: str | None


@dataclass(frozen=True)
class AuditLine:
    """Who did what, and when. `person_id` goes when the person is erased."""

    row: int
    at: Moment
    key_id: str
    action: str
    person_id: str | None
    count: int
    change: int | None


@dataclass(frozen=True)
class Actor:
    """On whose behalf: the key's id, and the cameras it is limited to (None: all of them)."""

    key_id: str
    cameras: frozenset[str] | None = None

    def check_unlimited(self, purpose: str) -> None:
        """Raise ForbiddenError for what only a key for all cameras may do."""
        if self.cameras is not None:
            raise ForbiddenError(f"expected a key for all cameras to {purpose}, got a limited one")


@dataclass(frozen=True)
class Key:
    """An API key as it is kept: only the hash of its secret. `cameras` None means that it is not limited."""

    key_id: str
    name: str
    secret_sha256: bytes
    scopes: frozenset[str]
    cameras: frozenset[str] | None
    created_at: Moment
    revoked_at: Moment | None = None

    @property
    def is_revoked(self) -> bool:
        """Whether it opens nothing any more."""
        return self.revoked_at is not None


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some records in order, and where the next ones begin (None: these were the last)."""

    records: list[T]
    next_row: int | None


@dataclass(frozen=True)
class Once(Generic[T]):
    """An idempotency key as it is kept: hashes only, and how the answer is written down beside them."""

    key_sha256: str
    body_sha256: str
    render: Callable[[T, int], str]


@dataclass(frozen=True)
class Written(Generic[T]):
    """A write that is durable: its result and change number, or the answer the same request was given before.

    `pending` says what of an erasure is not done yet, such as "crops" that are still on the disk.
    """

    value: T | None
    change: int
    replay: str | None = None
    pending: tuple[str, ...] = ()


def new_id() -> str:
    """A UUIDv7: sorts by the time it was made; the rest is random."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = milliseconds << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76  # version
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant
    return str(uuid.UUID(int=value))


def made_at_us(id_: str) -> int:
    """When :func:`new_id` made that one, to the millisecond."""
    return (uuid.UUID(id_).int >> 80) * 1_000
