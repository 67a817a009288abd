"""Retention: how long sightings are kept."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.auth import GuardedRoute
from service.dependencies import ActorOf, GalleryOf
from service.fields import Read
from service.schemas.retention import RetentionAnswer, RetentionIn, RuleIn

router = APIRouter(tags=["retention"], route_class=GuardedRoute)


@router.get("/v1/retention")
def get_retention(query: Annotated[Read, Query()], gallery: GalleryOf, actor: ActorOf) -> RetentionAnswer:
    """Get the rules in force; without any, everything is kept."""
    gallery.wait_for(query.min_change)
    with gallery.reading(actor) as reading:
        return RetentionAnswer(rules=[RuleIn.of(rule) for rule in reading.retention()], change=reading.change())


@router.put("/v1/retention")
def set_retention(asked: RetentionIn, gallery: GalleryOf, actor: ActorOf) -> RetentionAnswer:
    """Set the rules, in place of those in force. They are applied within ten minutes, and then again and again."""
    written = gallery.set_retention(actor, [rule.to_rule() for rule in asked.rules])
    assert written.value is not None
    return RetentionAnswer(rules=[RuleIn.of(rule) for rule in written.value], change=written.change)
