"""What is said of work in the background."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, Field

from service.fields import PageAnswer, shown
from service.gallery.sqlite.jobs import Job, State


class JobOut(BaseModel):
    """Work in the background."""

    job_id: str
    kind: str = Field(examples=["evaluate"])
    state: State = Field(description="erased: somebody it spoke of was erased, and its result with them")
    progress: float = Field(description="how much is done, 0 to 1", examples=[0.4])
    request: dict[str, Any] | None = Field(description="what was asked for")
    result: dict[str, Any] | None = Field(description="null until the job is done")
    reason: str | None = Field(description="why it failed")
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, job: Job, progress: float) -> Self:
        """From the record."""
        return cls(
            job_id=job.job_id,
            kind=job.kind,
            state=job.state,
            progress=progress,
            request=job.request,
            result=job.result,
            reason=job.reason,
            created_at=job.created_at.datetime(),
            started_at=shown(job.started_at),
            ended_at=shown(job.ended_at),
        )


class JobAnswer(JobOut):
    """A job, and a change that it includes."""

    change: int


class JobBrief(BaseModel):
    """A job without what was asked for and what came of it."""

    job_id: str
    kind: str
    state: State
    progress: float
    created_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, job: Job, progress: float) -> Self:
        """From the record."""
        return cls(
            job_id=job.job_id,
            kind=job.kind,
            state=job.state,
            progress=progress,
            created_at=job.created_at.datetime(),
            ended_at=shown(job.ended_at),
        )


class JobsAnswer(PageAnswer):
    """A page of jobs, the latest first."""

    jobs: list[JobBrief]


class JobRemovedAnswer(BaseModel):
    """A job that will not go on, or that is forgotten with its result."""

    job_id: str
    state: str = Field(description="`cancelled`, or `forgotten` where it had ended before")
    change: int
