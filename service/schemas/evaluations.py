"""What is asked of an evaluation."""

from typing import Annotated, Literal

from pydantic import Field

from service.fields import SightingId, Strict, Title
from service.schemas.search import WhereIn

MAX_EVALUATED_QUERIES = 20_000


class EvaluationIn(Strict):
    """Labelled sightings that ask, among the live gallery. A query never finds itself."""

    queries: Annotated[list[SightingId], Field(min_length=1, max_length=MAX_EVALUATED_QUERIES)] | None = Field(
        default=None, description="sightings of known people that ask; default: every one of people seen at least twice"
    )
    filter: WhereIn = Field(default_factory=WhereIn, description="which sightings take part")
    exclude: Literal["same-camera", "same-tracklet"] = Field(
        default="same-camera",
        description="sightings of the query's own person that do not count: those of its camera, or of its tracklet",
    )
    max_queries: Annotated[int, Field(ge=1, le=MAX_EVALUATED_QUERIES)] = Field(
        default=5000, description="of more, this many are drawn, always the same ones"
    )
    domain: Title = Field(default="this gallery", description="whose figures these are; stands beside every number")
    pictures: bool = Field(default=False, description="show the hardest queries in the report: crops of people")
