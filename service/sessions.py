"""The console's sessions: a random secret in a cookie that no script can read, its hash here."""

import hashlib
import secrets

from starlette.requests import Request
from starlette.responses import Response

from service.settings import is_loopback

COOKIE = "reid_session"
LASTS_S = 12 * 3600
_SAFE = ("GET", "HEAD", "OPTIONS")


def new_secret() -> str:
    """256 random bits, fit for a cookie."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is kept of it: one round of a plain hash suffices for 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def hand_out(request: Request, response: Response, secret: str) -> None:
    """Put the cookie into an answer. Over plain http only where the browser is on this machine."""
    secure = not is_loopback(request.url.hostname or "")
    response.set_cookie(COOKIE, secret, max_age=LASTS_S, httponly=True, samesite="strict", secure=secure)


def take_back(request: Request, response: Response) -> None:
    """Have the browser forget the cookie."""
    secure = not is_loopback(request.url.hostname or "")
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=secure)


def is_own_page(request: Request) -> bool:
    """Whether a request with a cookie was made by a page of this service, as far as it may change anything.

    Browsers say where a request that may change something comes from, and a page cannot lie about it. SameSite keeps
    the cookie from other sites, but not from another port or name of the same site.
    """
    if request.method in _SAFE:
        return True
    fetched = request.headers.get("sec-fetch-site")
    if fetched is not None:
        return fetched == "same-origin"
    host = request.headers.get("host", "")
    return request.headers.get("origin") in (f"http://{host}", f"https://{host}")
