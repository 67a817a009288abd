"""The tables of webhooks and of what could not be delivered. A dead letter holds no payload: that is read anew."""

import json
from dataclasses import dataclass
from typing import Any

from service.gallery.errors import NotFoundError
from service.gallery.records import Actor, Moment, Page, new_id
from service.gallery.sqlite.reading import Reading
from service.gallery.sqlite.writing import Writing

_COLUMNS = "SELECT row, webhook_id, key_id, url, secret, events, after_change, created_at_us, home_id FROM webhooks"


@dataclass(frozen=True)
class Webhook:
    """Where to call for which events; changes up to `after_change` are delivered or given up."""

    row: int
    webhook_id: str
    key_id: str
    url: str
    secret: str
    events: tuple[str, ...]
    after_change: int
    created_at: Moment
    home_id: str = ""  # of the service that calls it


@dataclass(frozen=True)
class DeadLetter:
    """A change whose events could not be delivered, and why the last attempt failed."""

    row: int
    change: int
    attempts: int
    reason: str
    at: Moment


def add_webhook(
    writing: Writing, actor: Actor, url: str, secret: str, events: tuple[str, ...], home_id: str = ""
) -> Webhook:
    """Keep a new one, for what happens from now on, called by the service of that home."""
    webhook_id = new_id()
    writing.connection.execute(
        "INSERT INTO webhooks (webhook_id, key_id, url, secret, events, after_change, created_at_us, home_id)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (webhook_id, actor.key_id, url, secret, json.dumps(events), writing.change(), Moment.now().us, home_id),
    )
    writing.note(actor, "add webhook", None, 1, None)
    return find_webhook(writing, webhook_id)


def find_webhook(reading: Reading, webhook_id: str) -> Webhook:
    """The webhook of that id; raises NotFoundError."""
    found = reading.connection.execute(f"{_COLUMNS} WHERE webhook_id = ?", (webhook_id,)).fetchone()
    if found is None:
        raise NotFoundError(f"expected a webhook that exists, got {webhook_id!r}")
    return _webhook(*found)


def list_webhooks(reading: Reading, after_row: int, limit: int) -> Page[Webhook]:
    """Webhooks in the order they were added."""
    found = reading.connection.execute(f"{_COLUMNS} WHERE row > ? ORDER BY row LIMIT ?", (after_row, limit + 1))
    webhooks = [_webhook(*columns) for columns in found]
    return Page(webhooks[:limit], webhooks[limit - 1].row if len(webhooks) > limit else None)


def homes(reading: Reading) -> set[str]:
    """Whose services call any."""
    return {home_id for (home_id,) in reading.connection.execute("SELECT home_id FROM webhooks")}


def take_over(writing: Writing, home_id: str, heir: str) -> list[Webhook]:
    """Have the service of `heir` call those that the one of `home_id` did; these, as they are now."""
    found = writing.connection.execute("SELECT webhook_id FROM webhooks WHERE home_id = ?", (home_id,)).fetchall()
    writing.connection.execute("UPDATE webhooks SET home_id = ? WHERE home_id = ?", (heir, home_id))
    return [find_webhook(writing, webhook_id) for (webhook_id,) in found]


def remove_webhook(writing: Writing, actor: Actor, webhook_id: str) -> None:
    """Take it out, with its dead letters; raises NotFoundError."""
    webhook = find_webhook(writing, webhook_id)
    writing.connection.execute("DELETE FROM webhooks WHERE row = ?", (webhook.row,))
    writing.note(actor, "remove webhook", None, 1, None)


def delivered(writing: Writing, webhook: Webhook, upto: int) -> None:
    """All changes up to this one are dealt with."""
    writing.connection.execute(
        "UPDATE webhooks SET after_change = max(after_change, ?) WHERE row = ?", (upto, webhook.row)
    )


def given_up(writing: Writing, webhook: Webhook, change: int, attempts: int, reason: str) -> None:
    """Write a dead letter for a change, and go on behind it. Nothing happens to a webhook that is gone."""
    writing.connection.execute(
        "INSERT INTO dead_letters (webhook_row, change, attempts, reason, at_us)"
        " SELECT row, ?, ?, ?, ? FROM webhooks WHERE row = ?",
        (change, attempts, reason, Moment.now().us, webhook.row),
    )
    delivered(writing, webhook, change)


def list_dead_letters(reading: Reading, webhook: Webhook, before_row: int | None, limit: int) -> Page[DeadLetter]:
    """What could not be delivered, the latest first."""
    found = reading.connection.execute(
        "SELECT row, change, attempts, reason, at_us FROM dead_letters WHERE webhook_row = ?"
        " AND row < coalesce(?, 9223372036854775807) ORDER BY row DESC LIMIT ?",
        (webhook.row, before_row, limit + 1),
    )
    letters = [DeadLetter(row, change, attempts, reason, Moment(at)) for row, change, attempts, reason, at in found]
    return Page(letters[:limit], letters[limit - 1].row if len(letters) > limit else None)


def _webhook(*columns: Any) -> Webhook:
    row, webhook_id, key_id, url, secret, events, after_change, created_us, home_id = columns
    kinds, created_at = tuple(json.loads(events)), Moment(created_us)
    return Webhook(row, webhook_id, key_id, url, secret, kinds, after_change, created_at, home_id)
