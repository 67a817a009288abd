"""Events: a person seen, an unknown person seen, an action recognised."""

from collections.abc import Iterator
from typing import Literal, get_args

from pydantic import BaseModel, Field

from service.gallery.records import ActionSeen, Sighting
from service.gallery.sqlite.arrivals import Arrivals
from service.schemas.actions import ActionSeenOut
from service.schemas.sightings import SightingOut

EventKind = Literal["person_seen", "unknown_person_seen", "action_recognised"]
EVENT_KINDS: tuple[EventKind, ...] = get_args(EventKind)


class EventOut(BaseModel):
    """What every event says."""

    event: EventKind
    change: int = Field(description="the change that brought it")


class PersonEventOut(EventOut):
    """Somebody was seen. The sighting is as it is when the event is told: by then it may have a name."""

    sighting: SightingOut


class ActionEventOut(EventOut):
    """Something happens on a camera."""

    action: ActionSeenOut


def event_of(change: int, arrived: Sighting | ActionSeen) -> EventOut:
    """From the record."""
    kind = kind_of(arrived)
    if isinstance(arrived, ActionSeen):
        return ActionEventOut(event=kind, change=change, action=ActionSeenOut.of(arrived))
    return PersonEventOut(event=kind, change=change, sighting=SightingOut.of(arrived))


def kind_of(arrived: Sighting | ActionSeen) -> EventKind:
    """What it is, and whether of somebody known."""
    if isinstance(arrived, ActionSeen):
        return "action_recognised"
    return "unknown_person_seen" if arrived.person_id is None else "person_seen"


def events_of(arrivals: Arrivals, wanted: frozenset[EventKind]) -> Iterator[tuple[int, list[EventOut]]]:
    """Changes with the events of theirs that are `wanted`; changes without any are left out."""
    for change, arrived in arrivals.by_change.items():
        events = [event_of(change, one) for one in arrived if kind_of(one) in wanted]
        if events:
            yield change, events
