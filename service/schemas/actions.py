"""Clips in, what happens in them out."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field

from reid.predictors import LabelScore
from service.fields import CameraId, Strict, Time
from service.gallery.records import ActionSeen
from service.schemas.classifiers import LabelOut

BundleName = Annotated[str, Field(min_length=1, max_length=128, examples=["fights"])]
Label = Annotated[str, Field(min_length=1, max_length=128, examples=["fight"])]


class NewsFields(Strict):
    """What becomes an event."""

    camera_id: CameraId | None = Field(default=None, description="whose it is: what is recognised becomes an event")
    labels: Annotated[list[Label], Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="only these become events; default: all"
    )
    min_score: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.5, description="of the best label, for it to become an event"
    )


class ActionsFields(NewsFields):
    """What is said of a clip."""

    bundle: BundleName | None = Field(default=None, description="the action bundle to ask; default: `fights`")
    windows: Literal["one", "dense"] = Field(
        default="one",
        description="`one`: the clip as the bundle samples it; `dense`: one window after another, for long clips",
    )
    captured_at: Time | None = Field(default=None, description="of the first frame; default: so that the last is now")


class WindowOut(BaseModel):
    """What happens from one time of the clip to another: every label, best first; the scores sum to 1."""

    start_s: float = Field(examples=[0.0])
    end_s: float = Field(examples=[1.6])
    labels: list[LabelOut]


class ActionSeenOut(BaseModel):
    """What was recognised on a camera, from when to when, and how sure the bundle was at most."""

    action_id: str
    camera_id: str
    label: str
    score: float
    bundle_id: str
    started_at: datetime
    ended_at: datetime

    @classmethod
    def of(cls, action: ActionSeen) -> Self:
        """From the record."""
        return cls(
            action_id=action.action_id,
            camera_id=action.camera_id,
            label=action.label,
            score=action.score,
            bundle_id=action.bundle_id,
            started_at=action.started_at.datetime(),
            ended_at=action.ended_at.datetime(),
        )


class ActionsAnswer(BaseModel):
    """What happens in a clip."""

    labels: list[LabelOut] = Field(description="the mean over the windows, best first; the scores sum to 1")
    windows: list[WindowOut]
    num_frames: int
    fps: float
    codec: str = Field(examples=["h264"])
    events: list[ActionSeenOut] = Field(description="what became news: nothing without a camera_id")
    bundle_id: str
    change: int


class StreamFrameOut(BaseModel):
    """A stream's answer to one frame."""

    frame: int = Field(description="its number, from 1; every message that was sent counts")
    window_frames: int = Field(description="how many frames the scores are of; fewer than the window's at the begin")
    labels: list[LabelOut]
    event: ActionSeenOut | None = Field(description="what became news with this frame")


class StreamErrorOut(BaseModel):
    """A stream's answer to a frame that was not used, as a problem says it. `ends`: the stream is over with it."""

    frame: int
    status: int
    code: str
    detail: str
    ends: bool


def labels_out(labels: Sequence[LabelScore]) -> list[LabelOut]:
    """Every label as answers show it."""
    return [LabelOut(label=one.label, score=one.score) for one in labels]
