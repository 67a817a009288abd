"""The table of recognised actions: what events are read from. They name nobody, and the oldest make room."""

from collections.abc import Sequence

from service.gallery.records import ActionSeen, Moment
from service.gallery.sqlite.reading import Reading
from service.gallery.sqlite.writing import Writing

MOST_KEPT = 10_000

_COLUMNS = "row, action_id, camera_id, label, score, bundle_id, started_at_us, ended_at_us, offset_minutes"


def add(writing: Writing, actions: Sequence[ActionSeen], change: int) -> None:
    """Keep some, under their change, and let the oldest go."""
    writing.connection.executemany(
        "INSERT INTO actions (change, action_id, camera_id, label, score, bundle_id, started_at_us, ended_at_us,"
        " offset_minutes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                *(change, one.action_id, one.camera_id, one.label, one.score, one.bundle_id),
                *(one.started_at.us, one.ended_at.us, one.started_at.offset_minutes),
            )
            for one in actions
        ],
    )
    writing.connection.execute("DELETE FROM actions WHERE row <= (SELECT max(row) FROM actions) - ?", (MOST_KEPT,))


def at_rows(reading: Reading, rows: Sequence[int]) -> dict[int, ActionSeen]:
    """Those of these rows (at most 1 000) that are there and that the caller may see."""
    marks = ", ".join("?" * len(rows))
    found = reading.connection.execute(f"SELECT {_COLUMNS} FROM actions WHERE row IN ({marks})", rows)  # noqa: S608 (values are bound)
    actions = {row: _action(*columns) for row, *columns in found}
    return {row: action for row, action in actions.items() if reading.sees(action.camera_id)}


def _action(
    action_id: str, camera_id: str, label: str, score: float, bundle_id: str, started: int, ended: int, offset: int
) -> ActionSeen:
    return ActionSeen(action_id, camera_id, label, score, bundle_id, Moment(started, offset), Moment(ended, offset))
