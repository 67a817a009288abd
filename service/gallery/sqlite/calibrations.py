"""The table of the operator's own calibrations, one for each bundle at most."""

import json
from dataclasses import dataclass
from typing import Any

from service.gallery.records import Actor, Moment
from service.gallery.sqlite.reading import Reading
from service.gallery.sqlite.writing import Writing


@dataclass(frozen=True)
class KeptCalibration:
    """A calibration as plain JSON values, and when it was set."""

    table: dict[str, Any]
    set_at: Moment


def kept_calibration(reading: Reading, bundle_id: str) -> KeptCalibration | None:
    """The operator's own for a bundle, if there is one."""
    found = reading.connection.execute(
        "SELECT calibration, set_at_us FROM calibrations WHERE bundle_id = ?", (bundle_id,)
    ).fetchone()
    return None if found is None else KeptCalibration(json.loads(found[0]), Moment(found[1]))


def keep_calibration(writing: Writing, actor: Actor, bundle_id: str, table: dict[str, Any]) -> None:
    """Put one in place of what there is."""
    writing.connection.execute(
        "INSERT INTO calibrations VALUES (?, ?, ?, ?) ON CONFLICT (bundle_id) DO UPDATE SET"
        " calibration = excluded.calibration, key_id = excluded.key_id, set_at_us = excluded.set_at_us",
        (bundle_id, json.dumps(table), actor.key_id, Moment.now().us),
    )
    writing.note(actor, "set calibration", None, 1, None)


def drop_calibration(writing: Writing, actor: Actor, bundle_id: str) -> None:
    """Go back to the bundle's own."""
    writing.connection.execute("DELETE FROM calibrations WHERE bundle_id = ?", (bundle_id,))
    writing.note(actor, "reset calibration", None, 1, None)
