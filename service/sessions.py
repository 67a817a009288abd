"""The console's sessions: a random secret in a cookie that no script can read, its hash here."""

import secrets

from starlette.requests import Request
from starlette.responses import Response

from service.gallery.digests import sha256
from service.settings import is_loopback

COOKIE = "reid_session"
LASTS_S = 12 * 3600


def new_secret() -> str:
    """256 random bits, fit for a cookie."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is kept of it: one round of a plain hash suffices for 256 random bits."""
    return sha256(secret.encode())


def hand_out(request: Request, response: Response, secret: str) -> None:
    """Put the cookie into an answer. Over plain http only where the browser is on this machine."""
    secure = not is_loopback(request.url.hostname or "")
    response.set_cookie(COOKIE, secret, max_age=LASTS_S, httponly=True, samesite="strict", secure=secure)


def take_back(request: Request, response: Response) -> None:
    """Have the browser forget the cookie."""
    secure = not is_loopback(request.url.hostname or "")
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=secure)
