"""What is said of work in the background."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, Field

from service.fields import PageAnswer, shown
from service.gallery.sqlite.jobs import Job, State


class JobBrief(BaseModel):
    """A job without what was asked for and what came of it."""

    job_id: str
    kind: str = Field(examples=["evaluate"])
    state: State = Field(description="erased: somebody it spoke of was erased, and its result with them")
    progress: float = Field(description="how much is done, 0 to 1", examples=[0.4])
    created_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, job: Job, progress: float) -> Self:
        """From the record."""
        return cls(**cls.fields_of(job, progress))

    @staticmethod
    def fields_of(job: Job, progress: float) -> dict[str, Any]:
        """The fields, from the record."""
        return {
            "job_id": job.job_id,
            "kind": job.kind,
            "state": job.state,
            "progress": progress,
            "created_at": job.created_at.datetime(),
            "ended_at": shown(job.ended_at),
        }


class JobAnswer(JobBrief):
    """A whole job, and a change that it includes."""

    request: dict[str, Any] | None = Field(description="what was asked for")
    result: dict[str, Any] | None = Field(description="null until the job is done")
    reason: str | None = Field(description="why it failed")
    started_at: datetime | None
    change: int

    @classmethod
    def at(cls, job: Job, progress: float, change: int) -> Self:
        """From the record, as of a change."""
        return cls(
            **cls.fields_of(job, progress),
            request=job.request,
            result=job.result,
            reason=job.reason,
            started_at=shown(job.started_at),
            change=change,
        )


class JobsAnswer(PageAnswer):
    """A page of jobs, the latest first."""

    jobs: list[JobBrief]


class JobRemovedAnswer(BaseModel):
    """A job that will not go on, or that is forgotten with its result."""

    job_id: str
    state: str = Field(description="`cancelled`, or `forgotten` where it had ended before")
    change: int
