"""What is said of what a score means."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.fields import JobId, Strict


class CalibrationOut(BaseModel):
    """The calibration in force."""

    domain: str = Field(description="the people and cameras it was measured on", examples=["Market-1501"])
    source: Literal["bundle", "operator"]
    bundle_id: str
    set_at: datetime | None = Field(description="when the operator put it in force; null: it came with the bundle")


class CurveOut(BaseModel):
    """At each score, which share of comparisons reaches it: of different people, and of one person across cameras."""

    scores: list[float]
    false_match_rates: list[float]
    true_match_rates: list[float]
    num_impostor_pairs: int
    num_genuine_pairs: int


class CameraPairOut(CurveOut):
    """The same between two cameras."""

    cameras: list[str]


class CalibrationAnswer(CalibrationOut, CurveOut):
    """The calibration in force, whole."""

    camera_pairs: list[CameraPairOut]
    change: int


class CalibrationIn(Strict):
    """The calibration to put in force, by exactly one of the two."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"evaluation_id": "01a20092-7b40-7e75-9218-0f81bda483aa"}]}
    )

    evaluation_id: JobId | None = Field(default=None, description="job_id of an evaluation that is done")
    calibration: dict[str, Any] | None = Field(
        default=None, description="format, bundle_id, overall and pairs, as `reid-trainer calibrate` writes them"
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.evaluation_id is None) == (self.calibration is None):
            raise ValueError("expected exactly one of evaluation_id and calibration")
        return self
