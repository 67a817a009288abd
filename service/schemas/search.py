"""Queries in, matches out."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from service.fields import (
    MAX_IMAGES,
    MAX_LIST,
    MAX_QUERIES,
    Attributes,
    Base64,
    BundleId,
    CameraId,
    PersonId,
    SightingId,
    Strict,
    Tags,
    Time,
    TrackletId,
    microseconds,
)
from service.gallery.filters import Filter
from service.schemas.calibration import CalibrationOut

Component = Annotated[FiniteFloat, Field(ge=-2, le=2)]  # of a unit vector


class WhereIn(Strict):
    """Which sightings are meant: all that is set must hold."""

    cameras: Annotated[list[CameraId], Field(max_length=MAX_LIST)] = Field(default_factory=list)
    not_cameras: Annotated[list[CameraId], Field(max_length=MAX_LIST)] = Field(default_factory=list)
    since: Time | None = None
    until: Time | None = None
    persons: Annotated[list[PersonId], Field(max_length=MAX_LIST)] = Field(default_factory=list)
    not_persons: Annotated[list[PersonId], Field(max_length=MAX_LIST)] = Field(default_factory=list)
    tags: Tags = Field(default_factory=list, description="every one of them, on the sighting or its person")
    attributes: Attributes = Field(default_factory=dict, description="every one of them, name and label")
    exclude_tracklets: Annotated[list[TrackletId], Field(max_length=MAX_LIST)] = Field(default_factory=list)

    def to_filter(self) -> Filter:
        """The gallery's form; raises FilterError for a time range that holds nothing."""
        return Filter(
            cameras=tuple(self.cameras),
            not_cameras=tuple(self.not_cameras),
            since_us=microseconds(self.since),
            until_us=microseconds(self.until),
            persons=tuple(self.persons),
            not_persons=tuple(self.not_persons),
            tags=tuple(self.tags),
            attributes=self.attributes,
            exclude_tracklets=tuple(self.exclude_tracklets),
        )


class FilterIn(WhereIn):
    """Which sightings to search: all that is set must hold, and holds before top_k."""

    exclude_same_camera: bool = Field(default=False, description="of a query by sighting or tracklet: its own camera")
    exclude_own_tracklet: bool = Field(default=False, description="of a query by sighting or tracklet: its tracklet")


class TermsIn(Strict):
    """What a match must be, and how many are wanted."""

    top_k: Annotated[int, Field(ge=1, le=1000)] = 10
    filter: FilterIn = Field(default_factory=FilterIn)
    group_by: Literal["sighting", "person"] = Field(
        default="sighting", description="person: only each person's best sighting"
    )
    min_score: Annotated[float, Field(ge=-1, le=1)] | None = None
    max_false_match_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    rerank: bool = Field(
        default=False, description="put the best matches into k-reciprocal order; their scores stay cosines"
    )

    @model_validator(mode="after")
    def _one_threshold(self) -> Self:
        if self.min_score is not None and self.max_false_match_rate is not None:
            raise ValueError("expected min_score or max_false_match_rate, got both")
        return self


class QueryIn(TermsIn):
    """One query: who is searched for, by exactly one of the five, and the terms where they differ."""

    images: Annotated[list[Base64], Field(min_length=1, max_length=MAX_IMAGES)] | None = None
    vector: Annotated[list[Component], Field(min_length=1, max_length=8192)] | None = None
    bundle_id: BundleId | None = Field(default=None, description="the bundle that gave `vector`: another is refused")
    sighting_id: SightingId | None = None
    person_id: PersonId | None = None
    tracklet_id: TrackletId | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = ("images", "vector", "sighting_id", "person_id", "tracklet_id")
        given = [name for name in sources if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of {', '.join(sources)}, got {', '.join(given) or 'none'}")
        if self.bundle_id is not None and self.vector is None:
            raise ValueError("expected bundle_id beside a vector alone, got it beside another query")
        return self


class SearchIn(TermsIn):
    """Queries to answer in one call. Terms beside `queries` hold for each of them that does not say otherwise."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "queries": [{"sighting_id": "01a20092-6340-7675-b218-cf81bda483df"}],
                    "top_k": 5,
                    "filter": {"since": "2026-01-31T08:00:00+01:00", "exclude_same_camera": True},
                    "group_by": "person",
                    "max_false_match_rate": 0.001,
                }
            ]
        }
    )

    queries: Annotated[list[QueryIn], Field(min_length=1, max_length=MAX_QUERIES)]


class MatchOut(BaseModel):
    """A sighting that matches."""

    sighting_id: str
    person_id: str | None
    score: float
    false_match_rate: float | None = Field(description="of one comparison; null without a calibration")
    calibrated_between: list[str] | None = Field(
        description="the two cameras whose own calibration gave the rate; null: the one over all cameras did"
    )
    camera_id: str | None
    captured_at: datetime
    tracklet_id: str | None
    attributes: dict[str, str]
    bundle_id: str


class ResultOut(BaseModel):
    """The answer to one query."""

    matches: list[MatchOut]
    searched: int = Field(description="sightings that the filter left")
    expected_false_matches: float | None = Field(
        description="false-match rate, over all cameras, of the lowest score shown × searched; null if none is shown"
    )
    approximate: bool
    reranked: bool = Field(description="the order of the matches is not that of their scores")


class SearchAnswer(BaseModel):
    """One result a query, in order."""

    results: list[ResultOut]
    calibration: CalibrationOut | None
    change: int
