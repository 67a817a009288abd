"""The fields that bodies and queries are made of, each with its limits."""

import json
import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from service.gallery.records import Moment

MAX_NAME = 128
MAX_TAGS = 64
MAX_IMAGES = 64
MAX_QUERIES = 64
MAX_LIST = 1000
MAX_METADATA_BYTES = 16 * 1024
LARGEST = 2**63 - 1

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_BEYOND_MICROSECONDS = re.compile(r"(?<=\.\d{6})\d+")


class Strict(BaseModel):
    """A body or query that refuses fields it does not know."""

    model_config = ConfigDict(extra="forbid")


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip():
        raise ValueError("expected printable text without spaces around it")
    return text


def _path_segment(text: str) -> str:
    if "/" in text or "\\" in text or text in (".", ".."):
        raise ValueError("expected a name without / or \\")
    return text


def _no_comma(text: str) -> str:
    if "," in text:
        raise ValueError("expected a tag without a comma")
    return text


def _small_json(value: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(json.dumps(value, allow_nan=False, ensure_ascii=False).encode())
    except (ValueError, RecursionError) as error:
        raise ValueError("expected JSON with finite numbers and whole characters") from error
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"expected at most {MAX_METADATA_BYTES} bytes of JSON, got {size}")
    return value


def _rfc_3339(value: Any) -> Any:
    """Refuse what pydantic would take besides: numbers as seconds, dates as midnight. Microseconds are kept."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and _RFC_3339.fullmatch(value):
        return _BEYOND_MICROSECONDS.sub("", value)
    if isinstance(value, str) and _RFC_3339.fullmatch(value.replace(" ", "+")):
        raise ValueError("expected a time with + before its offset, got a space; in a URL, + is written %2B")
    raise ValueError("expected a time such as 2026-01-31T12:00:00+01:00")


def _in_range(when: datetime) -> datetime:
    if not 1970 <= when.year <= 9000:
        raise ValueError("expected a year from 1970 to 9000")
    if Moment.of(when).us < 0:
        raise ValueError("expected a time after 1970-01-01T00:00:00Z")
    return when


_Text = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(_printable)]

PersonId = Annotated[_Text, AfterValidator(_path_segment), Field(examples=["visitor-17"])]
CameraId = Annotated[_Text, Field(examples=["front-door"])]
TrackletId = Annotated[_Text, Field(examples=["front-door-1769857200.12-ab3f"])]
SightingId = Annotated[_Text, Field(examples=["01a20092-6340-7675-b218-cf81bda483df"])]
JobId = Annotated[_Text, Field(examples=["01a20092-7b40-7e75-9218-0f81bda483aa"])]
BundleId = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", examples=["9bc90fa1" + 56 * "0"])]
Title = Annotated[_Text, Field(examples=["the four cameras of the north gate"])]
PersonName = Annotated[_Text, Field(examples=["Ada"])]
Tag = Annotated[_Text, AfterValidator(_no_comma), Field(examples=["staff"])]
Tags = Annotated[list[Tag], Field(max_length=MAX_TAGS)]
Attributes = Annotated[dict[Tag, Tag], Field(max_length=MAX_TAGS, examples=[{"sunglasses": "open"}])]
Metadata = Annotated[dict[str, JsonValue], AfterValidator(_small_json)]
Time = Annotated[AwareDatetime, BeforeValidator(_rfc_3339), AfterValidator(_in_range)]
Base64 = Annotated[str, Field(examples=["/9j/4AAQSkZJRgABAQ…"], json_schema_extra={"contentEncoding": "base64"})]
Change = Annotated[int, Field(ge=0, le=LARGEST)]


class Read(Strict):
    """What every read takes."""

    min_change: Change = Field(default=0, description="answer only once this change can be seen")


class PageQuery(Read):
    """What every list takes."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: Annotated[str, Field(max_length=100)] | None = Field(
        default=None, description="`next_cursor` of the page before"
    )


class PageAnswer(BaseModel):
    """What every page says beside its records."""

    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last one")
    change: int


def shown(moment: Moment | None) -> datetime | None:
    """As an answer says it; None stays None."""
    return None if moment is None else moment.datetime()


def microseconds(when: datetime | None) -> int | None:
    """Since 1970 UTC; None stays None."""
    return None if when is None else Moment.of(when).us
