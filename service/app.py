"""The application: routes, problems and middleware around one core."""

from importlib.metadata import version

from fastapi import FastAPI

from service import openapi, problems, reference
from service.core import Core
from service.door import Door
from service.middleware import BodyLimit, LoopbackOnly, RequestId, SafeAnswers
from service.routes import ROUTERS


def served(core: Core) -> Door:
    """:func:`create_app`, with the door before it: what a server serves."""
    return Door(create_app(core), core.admission_of, core.metrics)


def create_app(core: Core) -> FastAPI:
    """The service over an open `core`, which the caller closes after it."""
    app = FastAPI(
        title="reid-service",
        version=version("reid-service"),
        summary="Person re-identification: enrol people, ask where else they were seen.",
        responses=openapi.PROBLEM_RESPONSES,
        docs_url=None,  # FastAPI's own pages load scripts from elsewhere
        redoc_url=None,
    )
    app.state.core = core
    # The last one added is the outermost.
    app.add_middleware(
        BodyLimit, max_bytes=core.settings.max_body_bytes, max_archive_bytes=core.settings.max_archive_bytes
    )
    if core.settings.auth == "off":
        app.add_middleware(LoopbackOnly)
    app.add_middleware(SafeAnswers)
    app.add_middleware(RequestId, metrics=core.metrics)
    problems.install(app)
    openapi.install(app)
    reference.install(app)
    for router in ROUTERS:
        app.include_router(router)
    return app
