"""Export and import: a gallery into one file, and such a file into a gallery, a batch at a time."""

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reid.errors import ImageError
from reid.image_formats import read_header
from service.fields import LARGEST, Attributes, CameraId, Metadata, PersonId, PersonName, SightingId, Tags, TrackletId
from service.gallery.archive import ArchiveWriter, json_object, read_archive
from service.gallery.digests import sha256
from service.gallery.errors import ArchiveError, ConflictError, NotFoundError
from service.gallery.filters import Filter
from service.gallery.gallery import Gallery
from service.gallery.records import Actor, Moment, Person, Sighting
from service.gallery.sqlite.reading import Reading
from service.gallery.vectors import are_unit

FORMAT = 1
_PEOPLE_AT_ONCE, _SIGHTINGS_AT_ONCE, _CROP_BYTES_AT_ONCE = 500, 256, 16 * 2**20
_SHA256 = r"^[0-9a-f]{64}$"
Progress = Callable[[int], None]
M = TypeVar("M", bound=BaseModel)


def _no_progress(_: int) -> None:
    pass


@dataclass(frozen=True)
class Imported:
    """What an import brought: new people and sightings, those that were here already, those that were erased here."""

    persons: int = 0
    sightings: int = 0
    known: int = 0
    erased: int = 0

    def __add__(self, other: "Imported") -> "Imported":
        return Imported(
            self.persons + other.persons,
            self.sightings + other.sightings,
            self.known + other.known,
            self.erased + other.erased,
        )


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Moment(_Strict):
    us: int = Field(ge=0, le=LARGEST)
    offset_minutes: int = Field(ge=-1440, le=1440)

    def read(self) -> Moment:
        return Moment(self.us, self.offset_minutes)


class _Person(_Strict):
    person_id: PersonId
    name: PersonName | None
    tags: Tags
    metadata: Metadata
    created_at: _Moment
    updated_at: _Moment

    @classmethod
    def of(cls, person: Person) -> dict[str, Any]:
        names = ("person_id", "name", "metadata")
        times = {"created_at": _moment(person.created_at), "updated_at": _moment(person.updated_at)}
        return {name: getattr(person, name) for name in names} | {"tags": list(person.tags)} | times

    def read(self) -> Person:
        return Person(
            self.person_id,
            self.name,
            tuple(self.tags),
            self.metadata,
            self.created_at.read(),
            self.updated_at.read(),
        )


class _Sighting(_Strict):
    sighting_id: SightingId
    person_id: PersonId | None
    camera_id: CameraId | None
    captured_at: _Moment
    tracklet_id: TrackletId | None
    tags: Tags
    metadata: Metadata
    attributes: Attributes
    image_sha256: str = Field(pattern=_SHA256)
    width_px: int = Field(ge=1, le=2**16)
    height_px: int = Field(ge=1, le=2**16)
    created_at: _Moment
    vectors: dict[str, str]  # bundle id → base64 of little-endian float16

    @classmethod
    def of(cls, sighting: Sighting, vectors: dict[str, bytes]) -> dict[str, Any]:
        kept = {name: getattr(sighting, name) for name in cls.model_fields if hasattr(sighting, name)}
        return kept | {
            "tags": list(sighting.tags),
            "captured_at": _moment(sighting.captured_at),
            "created_at": _moment(sighting.created_at),
            "vectors": {bundle_id: base64.b64encode(vector).decode() for bundle_id, vector in vectors.items()},
        }

    def read(self) -> Sighting:
        fields = {name: getattr(self, name) for name in type(self).model_fields if name != "vectors"}
        times = {"captured_at": self.captured_at.read(), "created_at": self.created_at.read()}
        return Sighting(row=0, **{**fields, **times, "tags": tuple(self.tags)})


class _Batch(_Strict):
    persons: list[_Person]
    sightings: list[_Sighting]


class _About(_Strict):
    format: int = Field(ge=FORMAT, le=FORMAT)
    bundles: dict[str, int]


def export_gallery(gallery: Gallery, actor: Actor, file: IO[bytes], progress: Progress = _no_progress) -> int:
    """Write everything into `file`; how many sightings. `progress` is told how many so far, and may raise to stop.

    Each batch is of one moment; what is erased while others are written is in those only that were written before.
    Raises ForbiddenError for an actor limited to cameras.
    """
    actor.check_unlimited("export or import")
    with gallery.reading(actor) as reading:
        writer = ArchiveWriter(file, {"format": FORMAT, "bundles": reading.bundles()})
    after: int | None = 0
    while after is not None:
        with gallery.reading(actor) as reading:
            page = reading.persons(after, _PEOPLE_AT_ONCE)
        writer.add_batch({"persons": [_Person.of(person) for person in page.records], "sightings": []})
        after = page.next_row
    done, after = 0, 0
    while after is not None:
        with gallery.reading(actor) as reading:
            after, count = _export_some(gallery, reading, after, writer)
        done += count
        progress(done)
    writer.close()
    return done


def import_archive(gallery: Gallery, actor: Actor, file: IO[bytes], progress: Progress = _no_progress) -> Imported:
    """Take in what :func:`export_gallery` wrote; each batch is kept whole or not at all.

    What is here already stays as it is, so an import that was cut short is simply begun again. What was erased here
    stays erased. People of an id that is taken are taken for the same. Raises ArchiveError for a file that is not such
    an archive, or damaged: batches before that stay. ForbiddenError for an actor limited to cameras.
    """
    actor.check_unlimited("export or import")
    total, seen = Imported(), 0
    for batch in _batches(file):
        written = gallery.take_in(actor, batch.people, batch.sightings, batch.jpegs)
        assert written.value is not None
        total += Imported(*written.value)
        seen += len(batch.sightings)
        progress(seen)
    return total


def check_archive(gallery: Gallery, file: IO[bytes]) -> int:
    """Read an archive to its end as :func:`import_archive` would, and keep nothing; how many sightings it has.

    Raises ArchiveError, ConflictError for vectors of another length than their bundle left here.
    """
    sightings = 0
    for batch in _batches(file):
        with gallery.store.reading() as reading:
            here = reading.bundles()
        for bundle_id, dimension in batch.bundles.items():
            if here.get(bundle_id, dimension) != dimension:
                raise ConflictError(
                    f"expected vectors of {here[bundle_id]} numbers of bundle {bundle_id:.12}…, got {dimension}"
                )
        sightings += len(batch.sightings)
    return sightings


@dataclass(frozen=True)
class _Checked:
    """One batch, found right: as the gallery takes it in, and how long the archive says each bundle's vectors are."""

    people: list[Person]
    sightings: list[tuple[Sighting, dict[str, NDArray[np.float16]]]]
    jpegs: list[bytes]
    bundles: dict[str, int]


def _batches(file: IO[bytes]) -> Iterator[_Checked]:
    about = None
    for parts in read_archive(file):
        if about is None:
            about = _validated(_About, json_object(parts, "archive.json"))
            del parts["archive.json"]
        batch = _validated(_Batch, json_object(parts, "batches/"))
        crops = {name[6:70]: data for name, data in parts.items() if name.startswith("crops/")}
        yield _checked(batch, crops, about.bundles)


def _export_some(gallery: Gallery, reading: Reading, after: int, writer: ArchiveWriter) -> tuple[int | None, int]:
    """One batch of what follows the row `after`: where the next begins, and how many sightings it has."""
    page = reading.sightings(Filter(), after, _SIGHTINGS_AT_ONCE)
    crops: dict[str, bytes] = {}
    taken: list[Sighting] = []
    for sighting in page.records:
        if sum(map(len, crops.values())) >= _CROP_BYTES_AT_ONCE:
            break
        try:
            crops[sighting.image_sha256] = gallery.kept_crop(sighting)
        except NotFoundError:  # erased since
            continue
        taken.append(sighting)
    if not page.records:
        return None, 0
    for name, jpeg in crops.items():
        writer.add_crop(name, jpeg)
    vectors = reading.vectors_of_all_bundles([sighting.row for sighting in taken])
    people = {sighting.person_id for sighting in taken if sighting.person_id is not None}
    writer.add_batch(
        {
            "persons": [_Person.of(reading.person(person_id)) for person_id in sorted(people)],
            "sightings": [_Sighting.of(sighting, vectors[sighting.row]) for sighting in taken],
        }
    )
    last = taken[-1].row if taken else page.records[-1].row
    return (last if len(taken) < len(page.records) else page.next_row), len(taken)


def _checked(batch: _Batch, crops: dict[str, bytes], bundles: dict[str, int]) -> _Checked:
    people = {person.person_id for person in batch.persons}
    for one in batch.sightings:
        if one.person_id is not None and one.person_id not in people:
            raise ArchiveError(f"expected the person of every sighting in its batch, got none for {one.sighting_id!r}")
        _check_crop(one, crops.get(one.image_sha256))
    needed = {one.image_sha256 for one in batch.sightings}
    return _Checked(
        [person.read() for person in batch.persons],
        [(one.read(), _vectors(one, bundles)) for one in batch.sightings],
        [jpeg for sha256, jpeg in crops.items() if sha256 in needed],
        bundles,
    )


def _check_crop(one: _Sighting, jpeg: bytes | None) -> None:
    """Raise ArchiveError unless `jpeg` is what the sighting says: as every kept crop, a JPEG without metadata."""
    if jpeg is None or sha256(jpeg) != one.image_sha256:
        raise ArchiveError(f"expected the crop of {one.sighting_id!r} in its batch, got none or another")
    try:
        header = read_header(jpeg)
    except ImageError as error:
        raise ArchiveError(f"expected a crop of {one.sighting_id!r}, got: {error}") from error
    shape = (header.format, header.width, header.height, header.pixel_bytes == jpeg)
    if shape != ("JPEG", one.width_px, one.height_px, True):
        raise ArchiveError(f"expected a JPEG of {one.width_px} × {one.height_px} px without metadata, got another")


def _vectors(one: _Sighting, bundles: dict[str, int]) -> dict[str, NDArray[np.float16]]:
    found = {}
    for bundle_id, text in one.vectors.items():
        try:
            vector = np.frombuffer(base64.b64decode(text, validate=True), "<f2")
        except (binascii.Error, ValueError) as error:
            raise ArchiveError(f"expected the vector of {one.sighting_id!r} in base64, got something else") from error
        if len(vector) != bundles.get(bundle_id) or not are_unit(vector[None])[0]:
            raise ArchiveError(
                f"expected unit vectors as long as their bundle says, got another in {one.sighting_id!r}"
            )
        found[bundle_id] = vector
    return found


def _validated(kind: type[M], value: dict[str, Any]) -> M:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ArchiveError(f"expected an archive of format {FORMAT}, got at {where}: {first['msg']}") from error


def _moment(moment: Moment | None) -> dict[str, int]:
    assert moment is not None  # nobody limited to cameras gets here
    return {"us": moment.us, "offset_minutes": moment.offset_minutes}
