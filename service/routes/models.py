"""Models: the bundles on disk, and the one in force."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from reid.bundle import Bundle
from reid.kinds import EMBEDDING
from service.auth import GuardedRoute
from service.bundles import bundles
from service.dependencies import ActorOf, CoreOf
from service.fields import Read
from service.gallery.filters import Filter
from service.schemas.models import ModelOut, ModelsAnswer

router = APIRouter(tags=["models"], route_class=GuardedRoute)


@router.get("/v1/models")
def list_models(query: Annotated[Read, Query()], core: CoreOf, actor: ActorOf) -> ModelsAnswer:
    """List the bundles: the one in force, and all others on disk, with their figures and terms."""
    core.gallery.wait_for(query.min_change)
    with core.gallery.reading(actor) as reading:
        sightings = core.gallery.indexed(reading.rows(Filter()))
        change = reading.change()
    active = core.embedder.bundle
    others = [bundle for bundle in bundles(core.settings.home).values() if bundle.id != active.id]
    return ModelsAnswer(models=[_model(active, sightings), *(_model(bundle) for bundle in others)], change=change)


def _model(bundle: Bundle[Any, Any], sightings: int | None = None) -> ModelOut:
    """`sightings` are those of the active bundle; None: another."""
    return ModelOut(
        bundle_id=bundle.id,
        name=bundle.name,
        kind=bundle.kind,
        active=sightings is not None,
        embedding_size=bundle.network.embedding_size if bundle.kind == EMBEDDING.name else None,
        labels=list(bundle.labels),
        licence=bundle.licence,
        metrics=bundle.metrics,
        sightings=sightings or 0,
    )
