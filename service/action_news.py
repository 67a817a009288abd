"""From scores to news: which of what was recognised is worth an event."""

from collections.abc import Sequence
from dataclasses import dataclass

from reid.predictors import ActionSpan, LabelScore
from service.gallery.actions import check_camera
from service.gallery.errors import ForbiddenError
from service.gallery.records import ActionSeen, Actor, Moment, new_id
from service.schemas.actions import NewsFields


@dataclass(frozen=True)
class Wanted:
    """Of which camera, by which bundle; which labels (None: all) from which score on."""

    camera_id: str
    bundle_id: str
    labels: frozenset[str] | None
    min_score: float

    @classmethod
    def of(cls, camera_id: str, bundle_id: str, fields: NewsFields) -> "Wanted":
        """As a caller said it."""
        return cls(camera_id, bundle_id, None if fields.labels is None else frozenset(fields.labels), fields.min_score)

    def news(self, best: LabelScore) -> str | None:
        """The label that is news, if the best one is."""
        wanted = self.labels is None or best.label in self.labels
        return best.label if wanted and best.score >= self.min_score else None

    def seen(self, label: str, score: float, started_at: Moment, ended_at: Moment) -> ActionSeen:
        """The record of it."""
        return ActionSeen(new_id(), self.camera_id, label, score, self.bundle_id, started_at, ended_at)


def check_news(fields: NewsFields, actor: Actor, scopes: frozenset[str]) -> None:
    """Raise ForbiddenError for a key that may not make events, or not of this camera."""
    if fields.camera_id is None:
        return
    if "enrol" not in scopes:
        raise ForbiddenError("expected a key with the scope enrol for a camera's events, got one without")
    check_camera(actor, fields.camera_id)


def news_of(spans: Sequence[ActionSpan], wanted: Wanted, begin: Moment) -> list[ActionSeen]:
    """What of a clip's windows is news; windows in a row with the same label are one."""
    runs: list[tuple[str, list[ActionSpan]]] = []
    last: str | None = None
    for span in spans:
        label = wanted.news(span.labels[0])
        if label is not None and label == last:
            runs[-1][1].append(span)
        elif label is not None:
            runs.append((label, [span]))
        last = label
    return [
        wanted.seen(
            label,
            max(span.labels[0].score for span in run),
            _after(begin, run[0].start_s),
            _after(begin, run[-1].end_s),
        )
        for label, run in runs
    ]


def _after(begin: Moment, seconds: float) -> Moment:
    return Moment(begin.us + round(seconds * 1e6), begin.offset_minutes)
