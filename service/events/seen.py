"""Events: a person seen, an unknown person seen."""

from collections.abc import Iterator
from typing import Literal, get_args

from pydantic import BaseModel, Field

from service.gallery.records import Sighting
from service.gallery.sqlite.arrivals import Arrivals
from service.schemas.sightings import SightingOut

EventKind = Literal["person_seen", "unknown_person_seen"]
EVENT_KINDS: tuple[EventKind, ...] = get_args(EventKind)


class EventOut(BaseModel):
    """Somebody was seen. The sighting is as it is when the event is told: by then it may have a name."""

    event: EventKind
    change: int = Field(description="the change that enrolled it")
    sighting: SightingOut

    @classmethod
    def of(cls, change: int, sighting: Sighting) -> "EventOut":
        """From the record."""
        return cls(event=kind_of(sighting), change=change, sighting=SightingOut.of(sighting))


def kind_of(sighting: Sighting) -> EventKind:
    """Whether it is of somebody known."""
    return "unknown_person_seen" if sighting.person_id is None else "person_seen"


def events_of(arrivals: Arrivals, wanted: frozenset[EventKind]) -> Iterator[tuple[int, list[EventOut]]]:
    """Changes with the events of theirs that are `wanted`; changes without any are left out."""
    for change, sightings in arrivals.by_change.items():
        events = [EventOut.of(change, sighting) for sighting in sightings if kind_of(sighting) in wanted]
        if events:
            yield change, events
