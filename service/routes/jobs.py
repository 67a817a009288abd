"""Jobs: work in the background, its progress and its result."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from service.auth import GuardedRoute
from service.core import Core
from service.dependencies import ActorOf, CoreOf, ListsOf, ViewerOf
from service.fields import PageQuery, Read
from service.gallery.records import Written
from service.gallery.sqlite import jobs as table
from service.gallery.sqlite.jobs import Job
from service.idempotency import answered
from service.schemas.jobs import JobAnswer, JobBrief, JobRemovedAnswer, JobsAnswer

router = APIRouter(tags=["jobs"], route_class=GuardedRoute)


@router.get("/v1/jobs")
def list_jobs(query: Annotated[PageQuery, Query()], core: CoreOf, lists: ListsOf, viewer: ViewerOf) -> JobsAnswer:
    """List jobs, the latest first. A key sees those that it could have started: its scopes, its cameras."""
    found = lists.read("jobs", query, lambda reading, before: table.list_jobs(reading, viewer, before, query.limit))
    return JobsAnswer(jobs=[JobBrief.of(job, core.jobs.progress(job)) for job in found.records], **dict(found.page))


@router.get("/v1/jobs/{job_id}")
def get_job(job_id: str, query: Annotated[Read, Query()], core: CoreOf, actor: ActorOf, viewer: ViewerOf) -> JobAnswer:
    """Get a job: how far it is, and its result once it is done. It is kept for 7 days after its end."""
    core.gallery.wait_for(query.min_change)
    with core.gallery.reading(actor) as reading:
        return answer(core)(table.seen_job(reading, job_id, viewer), reading.change())


@router.delete("/v1/jobs/{job_id}")
def remove_job(job_id: str, core: CoreOf, viewer: ViewerOf) -> JobRemovedAnswer:
    """Cancel a job that waits or runs; forget one that has ended, with its result and its report."""
    job = core.jobs.remove(job_id, viewer)
    state = "forgotten" if job is None else job.state
    return JobRemovedAnswer(job_id=job_id, state=state, change=core.gallery.change)


def answer(core: Core) -> Callable[[Job, int], JobAnswer]:
    """How a job is answered."""

    def of(job: Job, change: int) -> JobAnswer:
        return JobAnswer.at(job, core.jobs.progress(job), change)

    return of


def accepted(written: Written[Job], core: Core) -> Response:
    """202 with the job that was started, or with the answer that its idempotency key stands for."""
    return answered(written, answer(core), 202, lambda job: {"Location": f"/v1/jobs/{job.job_id}"})
