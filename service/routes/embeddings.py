"""Embeddings: images to vectors, nothing kept."""

from fastapi import APIRouter, Request

from service.auth import GuardedRoute
from service.bodies import IMAGE_BODIES, at_least_one, from_base64, invalid, media_type, read_form, read_json, validated
from service.crops import decoded
from service.dependencies import CoreOf
from service.openapi import image_body
from service.schemas.models import EmbeddingsAnswer, EmbeddingsIn

router = APIRouter(tags=["embeddings"], route_class=GuardedRoute)


@router.post("/v1/embeddings", openapi_extra=image_body(EmbeddingsIn, {}))
async def embed(request: Request, core: CoreOf) -> EmbeddingsAnswer:
    """Embed images: unit vectors, comparable only with those of the same bundle."""
    images = await decoded(await _read(request))
    vectors = await core.model.embed(images)
    return EmbeddingsAnswer(
        embeddings=vectors.tolist(), dimension=core.gallery.dimension, bundle_id=core.gallery.bundle_id
    )


async def _read(request: Request) -> list[bytes]:
    if media_type(request, *IMAGE_BODIES) == "application/json":
        return from_base64(validated(EmbeddingsIn, await read_json(request)).images)
    form = await read_form(request)
    if form.texts:
        raise invalid(("body", next(iter(form.texts))[:80]), "expected files only")
    return at_least_one(form)
