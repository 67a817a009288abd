"""Which sightings came with which change: what events are read from. What is erased is in none of them."""

from dataclasses import dataclass

from service.gallery.records import Sighting
from service.gallery.sqlite.reading import Reading

_AT_ONCE = 1000  # more than one request can enrol


@dataclass(frozen=True)
class Arrivals:
    """Enrolled sightings by change, in order; all changes up to `upto` are told, and whether there are `more`."""

    by_change: dict[int, list[Sighting]]
    upto: int
    more: bool


def arrivals_after(reading: Reading, change: int) -> Arrivals:
    """What was enrolled after `change`, as the caller may see it. What was imported is not news."""
    latest = reading.change()
    found = reading.connection.execute(
        "SELECT a.change, a.row FROM arrivals AS a JOIN audit AS u ON u.change = a.change AND u.action = 'enrol'"
        " WHERE a.change > ? ORDER BY a.change, a.row LIMIT ?",
        (change, _AT_ONCE),
    ).fetchall()
    more = len(found) == _AT_ONCE
    if more:  # the last change may have more rows: it comes first next time
        found = [pair for pair in found if pair[0] != found[-1][0]]
    sightings = reading.sightings_at([row for _, row in found])
    by_change: dict[int, list[Sighting]] = {}
    for number, row in found:
        if row in sightings:
            by_change.setdefault(number, []).append(sightings[row])
    return Arrivals(by_change, found[-1][0] if more else max(latest, change), more)
