"""Frames in, where people are in them out."""

from typing import Self

from pydantic import BaseModel, Field

from reid.detection import Detection


class DetectionOut(BaseModel):
    """A person in a frame."""

    box_xyxy: list[float] = Field(description="pixels of the frame: left, top, right, bottom")
    score: float = Field(description="the detector's own, 0 to 1")

    @classmethod
    def of(cls, detection: Detection) -> Self:
        """From the detector's."""
        return cls(box_xyxy=list(detection.box_xyxy), score=detection.score)


class FrameOut(BaseModel):
    """The people in one frame, best score first."""

    people: list[DetectionOut]


class DetectAnswer(BaseModel):
    """In the order of the frames."""

    frames: list[FrameOut]
