"""Expiry: the retention rules, and what they delete."""

from collections.abc import Callable, Sequence
from functools import partial

from service.gallery.errors import FilterError
from service.gallery.ledger import SERVICE, Effect, Ledger
from service.gallery.records import Actor, Moment, RetentionRule, Written
from service.gallery.sqlite.writing import Writing
from service.gallery.store import nothing

_DELETED_AT_ONCE = 500  # sightings: what waits behind them waits about 50 ms


class Expiry(Ledger):
    """What a gallery does to sightings that are too old."""

    def set_retention(self, actor: Actor, rules: Sequence[RetentionRule]) -> Written[tuple[RetentionRule, ...]]:
        """Replace the retention rules; a sighting goes as soon as one rule that speaks of it says so.

        Raises FilterError for an age below a second and for two rules of the same sightings, ForbiddenError for an
        actor limited to cameras.
        """
        actor.check_unlimited("set retention")
        _check_rules(rules)

        def operation(writing: Writing) -> Effect[tuple[RetentionRule, ...]]:
            writing.set_retention(rules)
            return Effect(writing.retention(), count=len(rules))

        return self._write(actor, "set retention", operation)

    def apply_retention(self, now: Moment, until: Callable[[], bool] = lambda: False) -> Written[int]:
        """Delete the sightings that the rules want gone at the time `now`; how many, and what is `pending`.

        Some at a time, so that enrolments go on, and one scrub of the disk at the end. Stops early once `until` is
        true.
        """
        total = 0
        while not until() and self._any_expired(now):
            total += self._write(SERVICE, "retention", partial(_delete_expired, now=now)).value or 0
        pending = self._store.erase(nothing)[1] if total else ()
        return Written(total, self.change, pending=pending)

    def _any_expired(self, now: Moment) -> bool:
        with self._store.reading() as reading:
            return bool(reading.expired(now, limit=1))


def _delete_expired(writing: Writing, now: Moment) -> Effect[int]:
    return Effect.of_deletion(writing.delete_expired(now, _DELETED_AT_ONCE))


def _check_rules(rules: Sequence[RetentionRule]) -> None:
    for rule in rules:
        if rule.max_age_s < 1:
            raise FilterError(f"expected an age of at least 1 s, got {rule.max_age_s}")
    subjects = [(rule.camera_id, rule.known) for rule in rules]
    if len(set(subjects)) < len(subjects):
        raise FilterError("expected one rule for the same camera and known or unknown people, got two")
