"""Metrics: figures for Prometheus. They tell how much is going on, so they need a key."""

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse

from service.auth import GuardedRoute
from service.dependencies import CoreOf
from service.metrics import MEDIA_TYPE, exposition

router = APIRouter(tags=["health"], route_class=GuardedRoute)


@router.get("/metrics", response_class=PlainTextResponse)
def get_metrics(request: Request, core: CoreOf) -> PlainTextResponse:
    """Get the service's figures as Prometheus reads them."""
    return PlainTextResponse(exposition(core, request.app.state.requests), media_type=MEDIA_TYPE)
