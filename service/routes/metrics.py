"""Metrics: figures for Prometheus. They tell how much is going on, so they need a key."""

from fastapi import APIRouter
from starlette.responses import PlainTextResponse

from service.auth import GuardedRoute
from service.dependencies import CoreOf
from service.metrics import MEDIA_TYPE

router = APIRouter(tags=["health"], route_class=GuardedRoute)


@router.get("/metrics", response_class=PlainTextResponse)
def get_metrics(core: CoreOf) -> PlainTextResponse:
    """Get the service's figures as Prometheus reads them."""
    return PlainTextResponse(core.metrics.text(), media_type=MEDIA_TYPE)
