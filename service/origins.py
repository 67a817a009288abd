"""Where a request comes from: a page of this service, or another."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request

from service.problems import UntrustedOriginError
from service.settings import is_loopback

_FORWARDING = ("forwarded", "x-real-ip", "via")
_SAFE = ("GET", "HEAD", "OPTIONS")


def check_origin(headers: Headers) -> None:
    """Raise UntrustedOriginError unless the request names this machine as its host and came from a page of it."""
    for name in headers:
        if name.startswith("x-forwarded-") or name in _FORWARDING:
            raise UntrustedOriginError(f"expected no forwarded request with REID_AUTH=off, got a {name} header")
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not is_loopback(_host_name(f"//{hosts[0]}")):
        raise UntrustedOriginError("expected a Host of this machine with REID_AUTH=off, got another")
    if "origin" in headers and not _is_from_host(headers):
        raise UntrustedOriginError("expected an Origin that is this service with REID_AUTH=off, got another")


def is_own_page(request: Request) -> bool:
    """Whether a request with a cookie was made by a page of this service, as far as it may change anything.

    Browsers say where a request that may change something comes from, and a page cannot lie about it. SameSite keeps
    the cookie from other sites, but not from another port or name of the same site.
    """
    if request.method in _SAFE:
        return True
    fetched = request.headers.get("sec-fetch-site")
    return _is_from_host(request.headers) if fetched is None else fetched == "same-origin"


def _is_from_host(headers: Headers) -> bool:
    """Whether the page that asks is one of the very host and port that are asked."""
    host = headers.get("host", "")
    return headers.get("origin") in (f"http://{host}", f"https://{host}")


def _host_name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # brackets that hold no address
        return ""
