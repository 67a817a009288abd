"""Sightings: crops of people, enrolled, listed, moved and deleted."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from reid.images import decode_kept, encode_thumbnail
from service.admission import Ticket
from service.auth import GuardedRoute
from service.bodies import (
    IMAGE_BODIES,
    Form,
    at_least_one,
    from_base64,
    invalid,
    json_text,
    media_type,
    read_form,
    read_json,
    single,
    validated,
)
from service.core import Core
from service.crops import kept_crops
from service.dependencies import ActorOf, CoreOf, GalleryOf, ListsOf, TicketOf
from service.detector import required
from service.fields import Read
from service.gallery.digests import sha256
from service.gallery.gallery import Gallery
from service.gallery.records import Actor, Moment, Sighting, SightingFields, Written
from service.idempotency import IdempotencyKey, created, once, replayed
from service.leaving import until_gone
from service.models import Model
from service.openapi import PENDING, image_body
from service.problems import NobodyFoundError
from service.schemas.sightings import (
    AttributesIn,
    DeletedAnswer,
    EnrolAnswer,
    EnrolFields,
    EnrolIn,
    SightingAnswer,
    SightingOut,
    SightingPatch,
    SightingsAnswer,
    SightingsQuery,
)

router = APIRouter(tags=["sightings"], route_class=GuardedRoute)

_TEXTS = {
    "person_id": "who it is, if known; created if new",
    "camera_id": "",
    "captured_at": "RFC 3339 with an offset; default: now",
    "tracklet_id": "",
    "detect": "true: find the people in the one file, and enrol each",
    "box_xyxy": "JSON list of pixels: left, top, right, bottom; needs exactly one file",
    "tags": "JSON list, or separated by commas, or the field repeated",
    "metadata": "JSON object",
}
_JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}, "description": "JPEG"}}


@router.post("/v1/sightings", status_code=201, response_model=EnrolAnswer, openapi_extra=image_body(EnrolIn, _TEXTS))
async def enrol(
    request: Request, core: CoreOf, actor: ActorOf, ticket: TicketOf, idempotency_key: IdempotencyKey = None
) -> Response:
    """Enrol one or more crops, or a frame with `box_xyxy`, or with `detect` everybody in a frame, the surest first.

    201 once they are durable and a search finds them.
    """
    images, fields = await _read(request)
    if (fields.box_xyxy is not None or fields.detect) and len(images) != 1:
        raise invalid(("body", "images"), f"expected one image with box_xyxy or detect, got {len(images)}")
    said = fields.model_dump(
        mode="json", exclude=None if fields.detect else {"detect"}
    )  # as it was before there was it
    body = ["enrol", said, [sha256(image) for image in images]]
    asked = once(idempotency_key, body, _answer)
    written = await replayed(core.gallery, actor, asked)
    if written is None:
        boxes = await _boxes(request, core, ticket, images, fields)

        async def enrolled(model: Model) -> Written[list[Sighting]]:
            keeping = kept_crops(model.queue, model.bundle_id, ticket, images, boxes)
            crops = await until_gone(request, keeping)
            return await run_in_threadpool(core.gallery.enrol, actor, crops, _sighting_fields(fields), asked)

        written = await core.models.in_force(enrolled)
    return created(written, _answer)


@router.get("/v1/sightings")
def list_sightings(query: Annotated[SightingsQuery, Query()], lists: ListsOf) -> SightingsAnswer:
    """List sightings in the order they were enrolled, or the latest first."""
    wanted = query.to_filter()
    if query.order == "latest":
        found = lists.read(
            "latest sightings", query, lambda reading, place: reading.latest_sightings(wanted, place, query.limit)
        )
    else:
        found = lists.read("sightings", query, lambda reading, row: reading.sightings(wanted, row or 0, query.limit))
    return SightingsAnswer(sightings=[SightingOut.of(sighting) for sighting in found.records], **dict(found.page))


@router.get("/v1/sightings/{sighting_id}")
def get_sighting(
    sighting_id: str, query: Annotated[Read, Query()], gallery: GalleryOf, actor: ActorOf
) -> SightingAnswer:
    """Get a sighting."""
    gallery.wait_for(query.min_change)
    with gallery.reading(actor) as reading:
        return _one(reading.sighting(sighting_id), reading.change())


@router.patch("/v1/sightings/{sighting_id}")
def change_sighting(sighting_id: str, patch: SightingPatch, gallery: GalleryOf, actor: ActorOf) -> SightingAnswer:
    """Move a sighting to another person, or set its tags or metadata."""
    written = gallery.change_sighting(actor, sighting_id, patch.changes())
    assert written.value is not None
    return _one(written.value, written.change)


@router.put("/v1/sightings/{sighting_id}/attributes")
def set_attributes(sighting_id: str, given: AttributesIn, gallery: GalleryOf, actor: ActorOf) -> SightingAnswer:
    """Set the labels of a sighting, in place of those it had; a search can filter by them."""
    written = gallery.change_sighting(actor, sighting_id, given.changes())
    assert written.value is not None
    return _one(written.value, written.change)


@router.delete("/v1/sightings/{sighting_id}", responses=PENDING)
def delete_sighting(sighting_id: str, response: Response, gallery: GalleryOf, actor: ActorOf) -> DeletedAnswer:
    """Delete a sighting with its vector and image. 202 where they are not all gone from the disk yet."""
    written = gallery.delete_sighting(actor, sighting_id)
    response.status_code = 202 if written.pending else 200
    return DeletedAnswer(sighting_id=sighting_id, pending=list(written.pending), change=written.change)


@router.get("/v1/sightings/{sighting_id}/image", response_class=Response, responses=_JPEG)
def get_image(sighting_id: str, query: Annotated[Read, Query()], gallery: GalleryOf, actor: ActorOf) -> Response:
    """Get the crop as it was kept and embedded."""
    return _image(_crop(gallery, actor, sighting_id, query.min_change))


@router.get("/v1/sightings/{sighting_id}/thumbnail", response_class=Response, responses=_JPEG)
def get_thumbnail(sighting_id: str, query: Annotated[Read, Query()], gallery: GalleryOf, actor: ActorOf) -> Response:
    """Get the crop with sides of at most 160 pixels."""
    crop = _crop(gallery, actor, sighting_id, query.min_change)
    return _image(encode_thumbnail(decode_kept(crop)))


async def _boxes(
    request: Request, core: Core, ticket: Ticket, images: Sequence[bytes], fields: EnrolFields
) -> list[tuple[float, float, float, float]] | list[list[float]]:
    """Which parts of the one image to enrol; none where every image is a crop already."""
    if not fields.detect:
        return [] if fields.box_xyxy is None else [fields.box_xyxy]
    (people,) = await until_gone(request, required(core.detector).people(images, ticket))
    if not people:
        raise NobodyFoundError("expected a frame with people in it, but the detector found nobody")
    return [detection.box_xyxy for detection in people]


async def _read(request: Request) -> tuple[list[bytes], EnrolFields]:
    if media_type(request, *IMAGE_BODIES) == "application/json":
        body = validated(EnrolIn, await read_json(request))
        return from_base64(body.images), EnrolFields.model_validate(body.model_dump(exclude={"images"}))
    form = await read_form(request)
    fields = validated(EnrolFields, _values(form))
    return at_least_one(form), fields


def _values(form: Form) -> dict[str, Any]:
    """The text fields as JSON would have them; unknown ones stay, to be refused."""
    values: dict[str, Any] = {name: single(form, name) for name in form.texts if name != "tags"}
    for name in ("box_xyxy", "metadata"):
        if name in values:
            values[name] = json_text(values[name], name)
    if "tags" in form.texts:
        values["tags"] = _tags(form.texts["tags"])
    return values


def _tags(texts: Sequence[str]) -> Any:
    if len(texts) == 1 and texts[0].lstrip().startswith("["):
        return json_text(texts[0], "tags")
    return [tag.strip() for text in texts for tag in text.split(",")]


def _sighting_fields(fields: EnrolFields) -> SightingFields:
    return SightingFields(
        captured_at=Moment.now() if fields.captured_at is None else Moment.of(fields.captured_at),
        person_id=fields.person_id,
        camera_id=fields.camera_id,
        tracklet_id=fields.tracklet_id,
        tags=tuple(fields.tags),
        metadata=fields.metadata,
    )


def _crop(gallery: Gallery, actor: Actor, sighting_id: str, min_change: int) -> bytes:
    gallery.wait_for(min_change)
    return gallery.crop(actor, sighting_id)


def _image(jpeg: bytes) -> Response:
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, no-store"})


def _answer(sightings: list[Sighting], change: int) -> EnrolAnswer:
    return EnrolAnswer(sightings=[SightingOut.of(sighting) for sighting in sightings], change=change)


def _one(sighting: Sighting, change: int) -> SightingAnswer:
    return SightingAnswer(**SightingOut.of(sighting).model_dump(), change=change)
