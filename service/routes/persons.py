"""People: named by the operator, erased on request."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from service.auth import GuardedRoute
from service.dependencies import ActorOf, GalleryOf, ListsOf
from service.fields import Read
from service.gallery.records import Person
from service.idempotency import IdempotencyKey, answered, created, once
from service.openapi import PENDING
from service.schemas.persons import (
    ErasureAnswer,
    MergeIn,
    PersonAnswer,
    PersonIn,
    PersonOut,
    PersonPatch,
    PersonsAnswer,
    PersonsQuery,
    ReceiptOut,
    SplitIn,
)

router = APIRouter(tags=["persons"], route_class=GuardedRoute)


@router.post("/v1/persons", status_code=201, response_model=PersonAnswer)
def add_person(
    person: PersonIn, gallery: GalleryOf, actor: ActorOf, idempotency_key: IdempotencyKey = None
) -> Response:
    """Add a person. Enrolling a sighting under a new person_id does this too."""
    written = gallery.add_person(
        actor,
        person.person_id,
        person.name,
        tuple(person.tags),
        person.metadata,
        once(idempotency_key, ["add person", person.model_dump(mode="json")], _answer),
    )
    return created(written, _answer)


@router.get("/v1/persons")
def list_persons(query: Annotated[PersonsQuery, Query()], lists: ListsOf) -> PersonsAnswer:
    """List people in the order they were added. A key limited to cameras sees those seen by its cameras."""
    found = lists.read("persons", query, lambda reading, after: reading.persons(after or 0, query.limit, query.tag))
    return PersonsAnswer(persons=[PersonOut.of(person) for person in found.records], **dict(found.page))


@router.get("/v1/persons/{person_id}")
def get_person(person_id: str, query: Annotated[Read, Query()], gallery: GalleryOf, actor: ActorOf) -> PersonAnswer:
    """Get a person."""
    gallery.wait_for(query.min_change)
    with gallery.reading(actor) as reading:
        return _answer(reading.person(person_id), reading.change())


@router.patch("/v1/persons/{person_id}")
def change_person(person_id: str, patch: PersonPatch, gallery: GalleryOf, actor: ActorOf) -> PersonAnswer:
    """Set name, tags or metadata."""
    written = gallery.change_person(actor, person_id, patch.changes())
    assert written.value is not None
    return _answer(written.value, written.change)


@router.post("/v1/persons/{person_id}/merge", response_model=PersonAnswer)
def merge_persons(
    person_id: str, asked: MergeIn, gallery: GalleryOf, actor: ActorOf, idempotency_key: IdempotencyKey = None
) -> Response:
    """Two identities were one: all of `other_id` becomes part of this person, whose name and metadata win."""
    body = ["merge", person_id, asked.other_id]
    written = gallery.merge(actor, person_id, asked.other_id, once(idempotency_key, body, _answer))
    return answered(written, _answer)


@router.post("/v1/persons/{person_id}/split", response_model=PersonAnswer)
def split_person(
    person_id: str, asked: SplitIn, gallery: GalleryOf, actor: ActorOf, idempotency_key: IdempotencyKey = None
) -> Response:
    """One identity was two: some of the sightings become those of `into`, the answer. All move or none."""
    body = ["split", person_id, asked.model_dump(mode="json")]
    asked_once = once(idempotency_key, body, _answer)
    return answered(gallery.split(actor, person_id, asked.sighting_ids, asked.into, asked_once), _answer)


@router.delete("/v1/persons/{person_id}", responses=PENDING)
def erase_person(person_id: str, response: Response, gallery: GalleryOf, actor: ActorOf) -> ErasureAnswer:
    """Erase a person: sightings, vectors, images, and every mention of them. Answers with a receipt.

    200 once all of it is gone from the disk; 202 with what is pending where the disk or a reader delays that, and
    the same request then gives the same receipt again.
    """
    written = gallery.erase_person(actor, person_id)
    assert written.value is not None
    response.status_code = 202 if written.pending else 200
    return ErasureAnswer(receipt=ReceiptOut.of(written.value, written.pending), change=written.change)


def _answer(person: Person, change: int) -> PersonAnswer:
    return PersonAnswer(**PersonOut.of(person).model_dump(), change=change)
