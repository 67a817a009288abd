"""The audit: who enrolled, searched, erased, when."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.auth import GuardedRoute
from service.dependencies import ListsOf
from service.fields import PageQuery
from service.schemas.audit import AuditAnswer, AuditOut

router = APIRouter(tags=["audit"], route_class=GuardedRoute)


@router.get("/v1/audit")
def list_audit(query: Annotated[PageQuery, Query()], lists: ListsOf) -> AuditAnswer:
    """List what was done, the latest first. The names of erased people are gone from it."""
    found = lists.read("audit", query, lambda reading, before: reading.audit(before, query.limit))
    return AuditAnswer(audit=[AuditOut.of(line) for line in found.records], **dict(found.page))
