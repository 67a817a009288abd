"""Embeddings: images to vectors, nothing kept."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.auth import GuardedRoute
from service.bodies import ImagesIn, images_alone
from service.crops import computed
from service.dependencies import CoreOf, TicketOf
from service.leaving import until_gone
from service.models import Model
from service.openapi import image_body
from service.schemas.models import EmbeddingsAnswer

router = APIRouter(tags=["embeddings"], route_class=GuardedRoute)


@router.post("/v1/embeddings", response_model=EmbeddingsAnswer, openapi_extra=image_body(ImagesIn, {}))
async def embed(request: Request, core: CoreOf, ticket: TicketOf) -> Response:
    """Embed images: unit vectors, comparable only with those of the same bundle."""
    images = await images_alone(request)

    async def embedded(model: Model) -> EmbeddingsAnswer:
        vectors = await until_gone(request, computed(model.queue, ticket, images))
        return EmbeddingsAnswer(
            embeddings=vectors.tolist(), dimension=model.embedder.dimension, bundle_id=model.bundle_id
        )

    answer = await core.models.in_force(embedded)
    # Written here: FastAPI would check every number of it once more.
    return Response(answer.model_dump_json(), media_type="application/json")
