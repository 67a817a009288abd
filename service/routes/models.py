"""Models: the bundles on disk, the one in force, and its change."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from reid.bundle import Bundle
from reid.kinds import EMBEDDING
from service.auth import GuardedRoute
from service.bundles import bundles, embedding_folder, embeddings
from service.core import Core
from service.dependencies import ActorOf, CoreOf
from service.fields import Read
from service.gallery.errors import ConflictError, NotFoundError
from service.gallery.records import Actor
from service.gallery.sqlite import activations
from service.idempotency import IdempotencyKey, once
from service.openapi import BACKGROUND
from service.routes.jobs import accepted, answer
from service.schemas.jobs import JobAnswer
from service.schemas.models import ActivateIn, KeptOut, ModelOut, ModelsAnswer

router = APIRouter(tags=["models"], route_class=GuardedRoute)


@router.get("/v1/models")
def list_models(query: Annotated[Read, Query()], core: CoreOf, actor: ActorOf) -> ModelsAnswer:
    """List the bundles: the one in force, and all others on disk, with their figures, terms and kept vectors."""
    core.gallery.wait_for(query.min_change)
    active = core.model.bundle
    on_disk = [*bundles(core.settings.home).values(), *embeddings(core.settings).values()]
    known = {bundle.id: bundle for bundle in (active, *on_disk)}
    with core.gallery.reading(actor) as reading:
        in_force = activations.current(reading)
        sightings = reading.sightings_by_bundle()
        change = reading.change()
    listed = sorted(known.values(), key=lambda bundle: bundle.id != in_force.bundle_id)
    return ModelsAnswer(
        models=[_model(bundle, sightings.get(bundle.id, 0), in_force.bundle_id) for bundle in listed],
        not_on_disk=[KeptOut(bundle_id=one, sightings=sightings[one]) for one in sightings if one not in known],
        before=in_force.before,
        change=change,
    )


@router.post("/v1/models/activate", status_code=202, response_model=JobAnswer, responses=BACKGROUND)
def activate(asked: ActivateIn, core: CoreOf, actor: ActorOf, idempotency_key: IdempotencyKey = None) -> Response:
    """Put another embedding bundle in force: a job, which embeds the kept crops again, then switches all at once.

    Until it is done everything is answered with the bundle before, also where the job is cancelled or fails. Vectors
    are kept: to come back embeds only what was enrolled meanwhile. 404 for a bundle that is not on disk.
    """
    return _started(asked.bundle_id, core, actor, idempotency_key)


@router.post("/v1/models/rollback", status_code=202, response_model=JobAnswer, responses=BACKGROUND)
def roll_back(core: CoreOf, actor: ActorOf, idempotency_key: IdempotencyKey = None) -> Response:
    """Put the bundle in force that was before the present one: the same job. 409 where there was none."""
    before = core.gallery.activation().before
    if before is None:
        raise ConflictError("expected a bundle that was in force before, got a gallery that knew one only")
    return _started(before, core, actor, idempotency_key)


def _started(bundle_id: str, core: Core, actor: Actor, idempotency_key: str | None) -> Response:
    if embedding_folder(core.settings, bundle_id) is None:
        raise NotFoundError(f"expected an embedding bundle on disk, got {bundle_id}")
    request = {"bundle_id": bundle_id}
    asked = once(idempotency_key, ["activate", request], answer(core))
    return accepted(core.jobs.start(actor, "activate", request, once=asked), core)


def _model(bundle: Bundle[Any, Any], sightings: int, in_force: str) -> ModelOut:
    return ModelOut(
        bundle_id=bundle.id,
        name=bundle.name,
        kind=bundle.kind,
        active=bundle.id == in_force,
        embedding_size=bundle.network.embedding_size if bundle.kind == EMBEDDING.name else None,
        labels=list(bundle.labels),
        licence=bundle.licence,
        metrics=bundle.metrics,
        sightings=sightings,
    )
