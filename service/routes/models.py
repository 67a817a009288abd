"""Models: the bundle in force."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.auth import GuardedRoute
from service.dependencies import ActorOf, CoreOf
from service.fields import Read
from service.gallery.filters import Filter
from service.schemas.models import ModelOut, ModelsAnswer

router = APIRouter(tags=["models"], route_class=GuardedRoute)


@router.get("/v1/models")
def list_models(query: Annotated[Read, Query()], core: CoreOf, actor: ActorOf) -> ModelsAnswer:
    """List the bundles in force: their figures and terms, and how many sightings they embedded."""
    core.gallery.wait_for(query.min_change)
    bundle = core.model.embedder.bundle
    with core.gallery.reading(actor) as reading:
        rows = reading.rows(Filter())
        change = reading.change()
    model = ModelOut(
        bundle_id=bundle.id,
        name=bundle.name,
        kind=bundle.kind,
        active=True,
        embedding_size=bundle.network.embedding_size,
        licence=bundle.licence,
        metrics=bundle.metrics,
        sightings=core.gallery.indexed(rows),
    )
    return ModelsAnswer(models=[model], change=change)
