"""What is said of those who asked."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel

from service.fields import PageAnswer
from service.gallery.records import AuditLine


class AuditOut(BaseModel):
    """Who did what, and when."""

    at: datetime
    key_id: str
    action: str
    person_id: str | None
    count: int
    change: int | None

    @classmethod
    def of(cls, line: AuditLine) -> Self:
        """From the record."""
        return cls(
            at=line.at.datetime(),
            key_id=line.key_id,
            action=line.action,
            person_id=line.person_id,
            count=line.count,
            change=line.change,
        )


class AuditAnswer(PageAnswer):
    """A page of the audit, the latest first."""

    audit: list[AuditOut]
