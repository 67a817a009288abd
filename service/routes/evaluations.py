"""Evaluation: how well the live gallery tells its own people apart."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from service.auth import GuardedRoute
from service.dependencies import ActorOf, CoreOf, ViewerOf
from service.evaluation.job import NUMBERS, PAGE
from service.fields import Read
from service.gallery.sqlite import jobs
from service.idempotency import IdempotencyKey, once
from service.openapi import BACKGROUND
from service.routes.jobs import accepted, answer
from service.schemas.evaluations import EvaluationIn
from service.schemas.jobs import JobAnswer

router = APIRouter(tags=["evaluation"], route_class=GuardedRoute)

_CONTAINED = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class ReportQuery(Read):
    """In which form."""

    format: Literal["html", "json"] = Field(default="html", description="a page that needs nothing beside it, or JSON")


@router.post("/v1/evaluations", status_code=202, response_model=JobAnswer, responses=BACKGROUND)
def evaluate(asked: EvaluationIn, core: CoreOf, actor: ActorOf, idempotency_key: IdempotencyKey = None) -> Response:
    """Start an evaluation: labelled sightings ask, the live gallery answers; Rank-1/5/10, mAP and a calibration.

    A job: its result holds the figures. Everything about people in it goes when one of them is erased.
    """
    request = asked.model_dump(mode="json")
    named = frozenset([*(asked.queries or []), *asked.filter.persons, *asked.filter.not_persons])
    written = core.jobs.start(
        actor, "evaluate", request, named, once(idempotency_key, ["evaluate", request], answer(core))
    )
    return accepted(written, core)


@router.get(
    "/v1/evaluations/{job_id}/report",
    response_class=Response,
    responses={200: {"content": {"text/html": {}, "application/json": {}}, "description": "The report"}},
)
def get_report(
    job_id: str, query: Annotated[ReportQuery, Query()], core: CoreOf, actor: ActorOf, viewer: ViewerOf
) -> Response:
    """Get the report of an evaluation that is done: 409 before. It is gone with any person it speaks of."""
    core.gallery.wait_for(query.min_change)
    with core.gallery.reading(actor) as reading:
        file = jobs.job_file(
            reading, jobs.seen_job(reading, job_id, viewer), PAGE if query.format == "html" else NUMBERS
        )
    headers = {"Cache-Control": "private, no-store", "Content-Security-Policy": _CONTAINED}
    return Response(file.content, media_type=file.media_type, headers=headers)
