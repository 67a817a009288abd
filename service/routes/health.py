"""Health: for whoever starts and watches the service. No key is needed, and nothing about people is said."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.dependencies import CoreOf

router = APIRouter(tags=["health"])


class Live(BaseModel):
    """The process answers."""

    status: str = "live"


class Ready(BaseModel):
    """Bundle and gallery are loaded, and the store answers."""

    status: str = "ready"
    bundle_id: str
    durability: str = Field(description="what an acknowledged write survives", examples=["a power cut"])
    index: str = Field(
        description="what searches ask: `in memory`, `milvus`, or `milvus is away`: then searches get 503",
        examples=["in memory"],
    )


@router.get("/livez")
async def live() -> Live:
    """Whether the process answers."""
    return Live()


@router.get("/readyz")
def ready(core: CoreOf) -> Ready:
    """Whether requests can be served."""
    core.gallery.probe()
    return Ready(
        bundle_id=core.gallery.bundle_id, durability=core.gallery.store.durability, index=core.gallery.index_state
    )
