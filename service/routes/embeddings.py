"""Embeddings: images to vectors, nothing kept."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.auth import GuardedRoute
from service.bodies import IMAGE_BODIES, at_least_one, from_base64, invalid, media_type, read_form, read_json, validated
from service.crops import computed
from service.dependencies import CoreOf, TicketOf
from service.leaving import until_gone
from service.models import Model
from service.openapi import image_body
from service.schemas.models import EmbeddingsAnswer, EmbeddingsIn

router = APIRouter(tags=["embeddings"], route_class=GuardedRoute)


@router.post("/v1/embeddings", response_model=EmbeddingsAnswer, openapi_extra=image_body(EmbeddingsIn, {}))
async def embed(request: Request, core: CoreOf, ticket: TicketOf) -> Response:
    """Embed images: unit vectors, comparable only with those of the same bundle."""
    images = await _read(request)

    async def embedded(model: Model) -> EmbeddingsAnswer:
        vectors = await until_gone(request, computed(model.queue, ticket, images))
        return EmbeddingsAnswer(
            embeddings=vectors.tolist(), dimension=model.embedder.dimension, bundle_id=model.bundle_id
        )

    answer = await core.models.in_force(embedded)
    # Written here: FastAPI would check every number of it once more.
    return Response(answer.model_dump_json(), media_type="application/json")


async def _read(request: Request) -> list[bytes]:
    if media_type(request, *IMAGE_BODIES) == "application/json":
        return from_base64(validated(EmbeddingsIn, await read_json(request)).images)
    form = await read_form(request)
    if form.texts:
        raise invalid(("body", next(iter(form.texts))[:80]), "expected files only")
    return at_least_one(form)
