"""What came with which change: what events are read from. What is erased is in none of them."""

from dataclasses import dataclass

from service.gallery.records import ActionSeen, Sighting
from service.gallery.sqlite import actions
from service.gallery.sqlite.reading import Reading

_AT_ONCE = 1000  # more than one request can bring

_ARRIVED = """SELECT a.change, a.row, FALSE FROM arrivals AS a
 JOIN audit AS u ON u.change = a.change AND u.action = 'enrol' WHERE a.change > :change
 UNION ALL SELECT change, row, TRUE FROM actions WHERE change > :change ORDER BY 1, 2 LIMIT :limit"""


@dataclass(frozen=True)
class Arrivals:
    """Enrolled sightings and recognised actions by change, in order.

    All changes up to `upto` are told, and whether there are `more`.
    """

    by_change: dict[int, list[Sighting | ActionSeen]]
    upto: int
    more: bool


def arrivals_after(reading: Reading, change: int) -> Arrivals:
    """What came after `change`, as the caller may see it. What was imported is not news."""
    latest = reading.change()
    found = reading.connection.execute(_ARRIVED, {"change": change, "limit": _AT_ONCE}).fetchall()
    more = len(found) == _AT_ONCE
    if more:  # the last change may have more rows: it comes first next time
        found = [one for one in found if one[0] != found[-1][0]]
    sightings = reading.sightings_at([row for _, row, is_action in found if not is_action])
    seen = actions.at_rows(reading, [row for _, row, is_action in found if is_action])
    by_change: dict[int, list[Sighting | ActionSeen]] = {}
    for number, row, is_action in found:
        arrived = seen.get(row) if is_action else sightings.get(row)
        if arrived is not None:
            by_change.setdefault(number, []).append(arrived)
    return Arrivals(by_change, found[-1][0] if more else max(latest, change), more)
