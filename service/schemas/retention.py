"""Rules of retention."""

from typing import Annotated, Self

from pydantic import BaseModel, Field

from service.fields import CameraId, Strict
from service.gallery.records import RetentionRule

MAX_RULES = 1000
_LONGEST_S = 100 * 366 * 86_400


class RuleIn(Strict):
    """Sightings go when they are this old, counted from when they were captured."""

    max_age_s: Annotated[int, Field(ge=1, le=_LONGEST_S, examples=[2_592_000])]
    camera_id: CameraId | None = Field(default=None, description="only those of this camera")
    known: bool | None = Field(default=None, description="only those with a person_id (true) or without one (false)")

    def to_rule(self) -> RetentionRule:
        """The gallery's form."""
        return RetentionRule(self.max_age_s, self.camera_id, self.known)

    @classmethod
    def of(cls, rule: RetentionRule) -> Self:
        """From the record."""
        return cls(max_age_s=rule.max_age_s, camera_id=rule.camera_id, known=rule.known)


class RetentionIn(Strict):
    """All rules: they take the place of those in force. A sighting goes as soon as one of them says so."""

    rules: Annotated[list[RuleIn], Field(max_length=MAX_RULES)]


class RetentionAnswer(BaseModel):
    """The rules in force."""

    rules: list[RuleIn]
    change: int
