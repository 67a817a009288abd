"""The audit: who enrolled, searched, erased, when."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.auth import GuardedRoute
from service.dependencies import ActorOf, CursorsOf, GalleryOf
from service.fields import PageQuery
from service.schemas.audit import AuditAnswer, AuditOut

router = APIRouter(tags=["audit"], route_class=GuardedRoute)


@router.get("/v1/audit")
def list_audit(
    query: Annotated[PageQuery, Query()], gallery: GalleryOf, cursors: CursorsOf, actor: ActorOf
) -> AuditAnswer:
    """List what was done, the latest first. The names of erased people are gone from it."""
    before = cursors.decode("audit", query.cursor)
    gallery.wait_for(query.min_change)
    with gallery.reading(actor) as reading:
        page = reading.audit(before, query.limit)
        return AuditAnswer(
            audit=[AuditOut.of(line) for line in page.records],
            next_cursor=cursors.encode("audit", page.next_row),
            change=reading.change(),
        )
