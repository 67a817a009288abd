"""Opaque places in a list: what `next_cursor` gives, `cursor` takes."""

import base64
import binascii

from service.gallery.errors import CursorError


def encode(kind: str, row: int | None) -> str | None:
    """The cursor of the records that follow `row` in the list `kind`; None stays None.

    >>> decode("persons", encode("persons", 41))
    41
    """
    return None if row is None else base64.urlsafe_b64encode(f"{kind}:{row}".encode()).decode()


def decode(kind: str, cursor: str | None) -> int | None:
    """The row that :func:`encode` was given; raises CursorError for anything it did not give out.

    >>> decode("sightings", encode("persons", 41))
    Traceback (most recent call last):
    service.gallery.errors.CursorError: expected a next_cursor of this list, got something else
    """
    if cursor is None:
        return None
    try:
        found, row = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().split(":")
        number = int(row)
    except (binascii.Error, ValueError):
        number, found = -1, ""
    if encode(found, number) != cursor or found != kind or not 0 <= number < 2**63:
        raise CursorError("expected a next_cursor of this list, got something else")
    return number
