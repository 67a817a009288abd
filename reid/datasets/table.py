"""A CSV of labelled crops: the columns `path`, `person`, `camera` and, where known, `time`; others are not read.

Paths count from the table's folder. Times are RFC 3339 with an offset. From them tracklets are made: a person's
sightings by one camera are one tracklet until the camera has not seen them for a minute.
"""

import csv
import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reid.datasets.labelled import LabelledCrop, LabelledCrops, label_crops
from reid.errors import DatasetError

TRACKLET_GAP_S = 60
_COLUMNS = ("path", "person", "camera")


@dataclass(frozen=True)
class _Row:
    line: int
    path: Path
    person: str
    camera: str
    time: datetime.datetime | None


def read_table(file: Path) -> LabelledCrops:
    """Read such a table. Raises :class:`DatasetError` that names the column, or the line and what is wrong with it."""
    rows = _read_rows(file)
    first_of: dict[Path, _Row] = {}
    for row in rows:
        first = first_of.setdefault(row.path, row)
        if first is not row:
            raise DatasetError(f"{file}:{row.line}: expected each path once, got that of line {first.line} again")
    timed = [row for row in rows if row.time is not None]
    if timed and len(timed) != len(rows):
        untimed = next(row for row in rows if row.time is None)
        raise DatasetError(f"{file}:{untimed.line}: expected a time in every line or in none")
    return label_crops(file.parent, _in_tracklets(timed) if timed else [_crop(row, None) for row in rows])


def _read_rows(file: Path) -> list[_Row]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            columns = reader.fieldnames or ()
            if missing := [column for column in _COLUMNS if column not in columns]:
                raise DatasetError(
                    f"{file}: expected the columns {', '.join(_COLUMNS)}, got none called {missing[0]!r}"
                )
            return [_read_row(file, reader.line_num, fields) for fields in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{file}: expected a CSV in UTF-8: {error}") from error


def _read_row(file: Path, line: int, fields: dict[str, str]) -> _Row:
    if any(column is None or value is None for column, value in fields.items()):
        raise DatasetError(f"{file}:{line}: expected as many fields as there are columns")
    if empty := [column for column in _COLUMNS if not fields[column].strip()]:
        raise DatasetError(f"{file}:{line}: expected a {empty[0]}, got nothing")
    path, person, camera = (fields[column].strip() for column in _COLUMNS)
    return _Row(line, file.parent / path, person, camera, _read_time(file, line, fields.get("time", "").strip()))


def _read_time(file: Path, line: int, text: str) -> datetime.datetime | None:
    if not text:
        return None
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise DatasetError(f"{file}:{line}: expected a time such as 2025-03-01T08:30:00+01:00, got {text!r}") from error
    if time.tzinfo is None:
        raise DatasetError(f"{file}:{line}: expected a time with its offset from UTC, got {text!r}")
    return time


def _in_tracklets(rows: Sequence[_Row]) -> list[LabelledCrop]:
    crops = []
    last_seen: dict[tuple[str, str], datetime.datetime] = {}
    tracklets: dict[tuple[str, str], int] = {}
    for row in sorted(rows, key=lambda row: (row.time, row.line)):
        assert row.time is not None
        whose = row.person, row.camera
        gap = row.time - last_seen.get(whose, row.time)
        tracklets[whose] = tracklets.get(whose, 0) + (gap.total_seconds() > TRACKLET_GAP_S)
        last_seen[whose] = row.time
        crops.append(_crop(row, str(tracklets[whose])))
    return crops


def _crop(row: _Row, tracklet: str | None) -> LabelledCrop:
    return LabelledCrop(row.path, row.person, row.camera, tracklet)
