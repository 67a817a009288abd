"""What Frigate says of a tracked object, read from the answers of its REST interface (0.17 and 0.18)."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter

_EDGES = 4


class EventData(BaseModel):
    """`box`: left, top, width, height, as shares of the frame."""

    box: Annotated[list[float], Field(min_length=_EDGES, max_length=_EDGES)] | None = None


class Event(BaseModel):
    """A tracked object; what we do not use is left out. Times are seconds since 1970."""

    id: str
    camera: str
    label: str
    start_time: float
    end_time: float | None = None
    false_positive: bool | None = None
    has_snapshot: bool = False
    zones: list[str] = Field(default_factory=list)
    data: EventData = Field(default_factory=EventData)

    @property
    def of_a_person(self) -> bool:
        """Whether there is somebody to enrol, once the event has ended."""
        return self.label == "person" and not self.false_positive and self.has_snapshot

    @property
    def began(self) -> datetime:
        """When it began, UTC."""
        return datetime.fromtimestamp(self.start_time, UTC)

    @property
    def tracklet_id(self) -> str:
        """One event is one tracklet."""
        return f"frigate-{self.id}"

    def box_xyxy(self, width: int, height: int) -> tuple[float, float, float, float] | None:
        """The box in pixels of a frame, cut to it; None where Frigate gave none."""
        if self.data.box is None:
            return None
        left, top, wide, high = self.data.box
        right, bottom = min(1.0, left + wide) * width, min(1.0, top + high) * height
        return max(0.0, left) * width, max(0.0, top) * height, right, bottom


_EVENTS = TypeAdapter(list[Event])


def read_events(answer: Any) -> list[Event]:
    """A list answer; raises pydantic's ValidationError for another form."""
    return _EVENTS.validate_python(answer)
