"""Sightings with nothing but what an evaluation needs of each."""

import json
from collections.abc import Iterator
from typing import NamedTuple

from service.gallery.filters import Filter
from service.gallery.sqlite.reading import Reading

_AT_ONCE = 10_000


class Label(NamedTuple):
    """Who was seen, where, and in which run of sightings."""

    row: int
    sighting_id: str
    person_id: str | None
    camera_id: str | None
    tracklet_id: str | None


def labels_of(reading: Reading, wanted: Filter) -> Iterator[Label]:
    """Those that `wanted` lets through and the caller may see, by rising row."""
    rows = reading.rows(wanted).tolist()
    for start in range(0, len(rows), _AT_ONCE):
        found = reading.connection.execute(
            "SELECT s.row, s.sighting_id, p.person_id, s.camera_id, s.tracklet_id FROM json_each(?) AS one"
            " JOIN sightings AS s ON s.row = one.value LEFT JOIN persons AS p ON p.person_row = s.person_row"
            " ORDER BY s.row",
            (json.dumps(rows[start : start + _AT_ONCE]),),
        )
        yield from map(Label._make, found)
