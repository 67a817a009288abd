"""API keys: how they are made and recognised. Only hashes are kept."""

import hashlib
import hmac
import secrets
from typing import Literal, get_args

from pydantic import TypeAdapter, ValidationError

from service.fields import CameraId
from service.gallery.records import Key, Moment

Scope = Literal["read", "enrol", "erase", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
LIMITED_SCOPES: tuple[Scope, ...] = ("read", "enrol")  # what a key limited to cameras may have

HEADER = "X-API-Key"
SHAPE = "reid_<id>_<secret>"
_CAMERA_ID: TypeAdapter[str] = TypeAdapter(CameraId)


def new_key(name: str, scopes: frozenset[str], cameras: frozenset[str] | None) -> tuple[Key, str]:
    """Make a key: what is kept of it, and the text that is shown once.

    Raises ValueError for a scope that does not exist, one that a key limited to cameras cannot have, or a camera
    that no sighting could be of.
    """
    for camera in sorted(cameras or ()):
        _check_camera(camera)
    allowed = SCOPES if cameras is None else LIMITED_SCOPES
    if not scopes or not scopes <= set(allowed):
        kind = "a key" if cameras is None else "a key limited to cameras"
        raise ValueError(f"expected scopes of {kind} ({', '.join(allowed)}), got {', '.join(sorted(scopes)) or 'none'}")
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    return Key(key_id, name, _digest(secret), scopes, cameras, Moment.now()), f"reid_{key_id}_{secret}"


def _check_camera(camera: str) -> None:
    try:
        _CAMERA_ID.validate_python(camera)
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ValueError(f"expected a camera_id ({said}), got {camera!r}") from error


def parts(given: str) -> tuple[str, str]:
    """The id and the secret of a key as text; empty where it has another shape."""
    prefix, _, rest = given.partition("_")
    key_id, _, secret = rest.partition("_")
    return (key_id, secret) if prefix == "reid" else ("", "")


def matches(key: Key | None, secret: str) -> bool:
    """Whether `secret` is the key's, taking as long when there is no such key."""
    expected = _digest("") if key is None else key.secret_sha256
    return hmac.compare_digest(expected, _digest(secret)) and key is not None


def _digest(secret: str) -> bytes:
    """Secrets are 256 random bits: one round of a plain hash is enough to keep them."""
    return hashlib.sha256(secret.encode()).digest()
