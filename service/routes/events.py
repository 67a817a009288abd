"""Events: who was seen and what was recognised, as it happens."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from pydantic import Field
from starlette.responses import StreamingResponse

from service.auth import GuardedRoute
from service.dependencies import ActorOf, CoreOf
from service.events.seen import EVENT_KINDS, EventKind
from service.events.stream import MEDIA_TYPE, stream
from service.fields import LARGEST, Change, Read
from service.problems import QueueFullError

router = APIRouter(tags=["events"], route_class=GuardedRoute)

MOST_LISTENERS = 200
_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {MEDIA_TYPE: {}}, "description": "Events without end"}}


class EventsQuery(Read):
    """Which events."""

    events: list[EventKind] = Field(default_factory=list, description="only these; default: all")
    after: Change | None = Field(
        default=None, description="begin after this change; default: `Last-Event-ID`, else what comes from now on"
    )


@router.get("/v1/events", response_class=StreamingResponse, responses=_STREAM)
def listen(
    query: Annotated[EventsQuery, Query()],
    core: CoreOf,
    actor: ActorOf,
    last_event_id: Annotated[int | None, Header(ge=0, le=LARGEST, description="the last id that was heard")] = None,
) -> StreamingResponse:
    """Listen: server-sent events `person_seen` and `unknown_person_seen` with the sighting, `action_recognised`.

    A listener that comes back with `Last-Event-ID` misses nothing, and may hear the events of one change again.
    """
    if core.feed.listeners >= MOST_LISTENERS:
        raise QueueFullError(f"expected at most {MOST_LISTENERS} listeners, got one more")
    core.gallery.wait_for(query.min_change)
    after = query.after if query.after is not None else last_event_id
    begin = core.gallery.change if after is None else after
    wanted = frozenset(query.events or EVENT_KINDS)
    events = stream(core.gallery, core.feed, actor, begin, wanted)
    return StreamingResponse(events, media_type=MEDIA_TYPE, headers={"X-Accel-Buffering": "no"})
