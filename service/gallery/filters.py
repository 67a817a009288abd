"""Which sightings a search or a list speaks of, and the same as an SQL condition."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from service.gallery.errors import FilterError


@dataclass(frozen=True)
class Filter:
    """All that is set must hold; what is empty says nothing.

    A sighting without a camera, person or tracklet is in no list of them, and so is never excluded by one.
    Times are microseconds UTC: `since_us` is inside, `until_us` outside. A tag may be the sighting's own or its
    person's; every tag must be there. `known`: of somebody, or of nobody yet.
    Raises FilterError for a time range that holds nothing.
    """

    cameras: tuple[str, ...] = ()
    not_cameras: tuple[str, ...] = ()
    since_us: int | None = None
    until_us: int | None = None
    persons: tuple[str, ...] = ()
    not_persons: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)
    tracklets: tuple[str, ...] = ()
    exclude_tracklets: tuple[str, ...] = ()
    known: bool | None = None

    def __post_init__(self) -> None:
        if self.since_us is not None and self.until_us is not None and self.since_us >= self.until_us:
            raise FilterError("expected `since` before `until`, got a time range that holds nothing")


@dataclass(frozen=True)
class Condition:
    """An SQL condition on `sightings AS s` and the values of its question marks."""

    sql: str
    values: tuple[str | int, ...] = ()

    @staticmethod
    def all_of(conditions: Iterable["Condition"]) -> "Condition":
        """True where every one of `conditions` is."""
        parts = list(conditions)
        return Condition(
            " AND ".join(f"({part.sql})" for part in parts) or "TRUE",
            tuple(value for part in parts for value in part.values),
        )

    @staticmethod
    def any_of(conditions: Iterable["Condition"]) -> "Condition":
        """True where one of `conditions` is."""
        parts = list(conditions)
        return Condition(
            " OR ".join(f"({part.sql})" for part in parts) or "FALSE",
            tuple(value for part in parts for value in part.values),
        )


_PERSON_ROWS = "SELECT person_row FROM persons WHERE person_id IN ({})"
_HAS_TAG = "EXISTS (SELECT 1 FROM sighting_tags AS t WHERE t.row = s.row AND t.tag = ?)"
_PERSON_HAS_TAG = "EXISTS (SELECT 1 FROM person_tags AS t WHERE t.person_row = s.person_row AND t.tag = ?)"


def condition(wanted: Filter, visible_cameras: frozenset[str] | None) -> Condition:
    """`wanted` as SQL, within the cameras that the caller may see (None: all of them).

    A caller limited to cameras may not learn a person's tags: for them only a sighting's own count.
    """
    parts = [
        *_is_one_of("s.camera_id", wanted.cameras),
        *_is_none_of("s.camera_id", wanted.not_cameras),
        *_is_one_of("s.person_row", wanted.persons, _PERSON_ROWS),
        *_is_none_of("s.person_row", wanted.not_persons, _PERSON_ROWS),
        *_is_one_of("s.tracklet_id", wanted.tracklets),
        *_is_none_of("s.tracklet_id", wanted.exclude_tracklets),
        *(_has_tag(tag, of_person=visible_cameras is None) for tag in wanted.tags),
        *(_has_attribute(name, label) for name, label in wanted.attributes.items()),
    ]
    if wanted.known is not None:
        parts.append(Condition("s.person_row IS NOT NULL" if wanted.known else "s.person_row IS NULL"))
    if wanted.since_us is not None:
        parts.append(Condition("s.captured_at_us >= ?", (wanted.since_us,)))
    if wanted.until_us is not None:
        parts.append(Condition("s.captured_at_us < ?", (wanted.until_us,)))
    return Condition.all_of([*parts, visible(visible_cameras)])


def visible(cameras: frozenset[str] | None) -> Condition:
    """The sightings that a caller limited to `cameras` may see."""
    if cameras is None:
        return Condition("TRUE")
    return Condition(f"s.camera_id IN ({marks(len(cameras))})", tuple(sorted(cameras)))


def marks(count: int) -> str:
    """`count` question marks."""
    return ", ".join("?" * count)


def _is_one_of(column: str, names: tuple[str, ...], within: str = "{}") -> list[Condition]:
    found = within.format(marks(len(names)))
    return [Condition(f"{column} IN ({found})", names)] if names else []


def _is_none_of(column: str, names: tuple[str, ...], within: str = "{}") -> list[Condition]:
    found = within.format(marks(len(names)))
    return [Condition(f"coalesce({column} NOT IN ({found}), TRUE)", names)] if names else []


def _has_tag(tag: str, *, of_person: bool) -> Condition:
    return Condition(f"{_HAS_TAG} OR {_PERSON_HAS_TAG}", (tag, tag)) if of_person else Condition(_HAS_TAG, (tag,))


def _has_attribute(name: str, label: str) -> Condition:
    sql = "EXISTS (SELECT 1 FROM json_each(s.attributes) AS a WHERE a.key = ? AND a.value = ?)"
    return Condition(sql, (name, label))
