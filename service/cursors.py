"""Opaque places in a list: what `next_cursor` gives, `cursor` takes. They tell their bearer nothing."""

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass

from service.gallery.errors import CursorError

_NONCE_BYTES, _ROW_BYTES, _SEAL_BYTES = 9, 16, 16


@dataclass(frozen=True)
class Cursors:
    """Row numbers, or what else orders a list, hidden and sealed: how many rows there are is nobody's business.

    `key` is secret. A number has at most 128 bits.
    """

    key: bytes

    def encode(self, kind: str, row: int | None) -> str | None:
        """The cursor of the records that follow `row` in the list `kind`; None stays None.

        >>> cursors = Cursors(bytes(32))
        >>> cursors.decode("persons", cursors.encode("persons", 41))
        41
        """
        if row is None:
            return None
        nonce = secrets.token_bytes(_NONCE_BYTES)
        hidden = self._hide(nonce, row.to_bytes(_ROW_BYTES))
        return base64.urlsafe_b64encode(nonce + hidden + self._seal(kind, nonce + hidden)).decode()

    def decode(self, kind: str, cursor: str | None) -> int | None:
        """The row that :meth:`encode` was given; raises CursorError for anything it did not give out.

        >>> cursors = Cursors(bytes(32))
        >>> cursors.decode("sightings", cursors.encode("persons", 41))
        Traceback (most recent call last):
        service.gallery.errors.CursorError: expected a next_cursor of this list, got something else
        """
        if cursor is None:
            return None
        try:
            given = base64.b64decode(cursor, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            given = b""
        nonce, hidden, seal = given[:_NONCE_BYTES], given[_NONCE_BYTES:-_SEAL_BYTES], given[-_SEAL_BYTES:]
        if not hmac.compare_digest(seal, self._seal(kind, nonce + hidden)):
            raise CursorError("expected a next_cursor of this list, got something else")
        return int.from_bytes(self._hide(nonce, hidden))

    def _hide(self, nonce: bytes, row: bytes) -> bytes:
        """There and back: exclusive or with bytes that only the key's holder can make."""
        mask = hmac.digest(self.key, b"hide" + nonce, hashlib.sha256)
        return bytes(a ^ b for a, b in zip(row, mask, strict=False))

    def _seal(self, kind: str, content: bytes) -> bytes:
        return hmac.digest(self.key, b"seal" + kind.encode() + b":" + content, hashlib.sha256)[:_SEAL_BYTES]
