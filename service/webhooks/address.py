"""Where a webhook may call: an address that is looked up once, judged, and then called by its number."""

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from service.problems import WebhookError

_PORTS = {"https": 443, "http": 80}
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Target:
    """A URL by number, and the name that it had: for the Host header and for the certificate."""

    url: str
    host_header: str
    server_name: str


def check_url(url: str, *, private: bool) -> None:
    """Raise WebhookError unless this is a plain https URL (http too, where `private` addresses are allowed)."""
    schemes = ("https", "http") if private else ("https",)
    try:
        parts = urlsplit(url)
        port_fits = parts.port is None or parts.port > 0
    except ValueError as error:
        raise WebhookError(f"expected a URL, got one that cannot be read: {error}") from error
    if parts.scheme not in schemes or not parts.hostname or not port_fits or not url.isprintable() or " " in url:
        raise WebhookError(f"expected a URL of {' or '.join(schemes)}, got another")
    if not parts.netloc.isascii():  # a header could not carry it
        raise WebhookError("expected a host in ASCII (xn--… for a name in other letters), got another")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise WebhookError("expected a URL without a password and a fragment")


def resolve(url: str, *, private: bool) -> Target:
    """Look the host up, once: what is judged is what is called, whatever the name means a moment later.

    Raises WebhookError for a name that cannot be found, or that means any address inside a network, unless `private`
    addresses are allowed.
    """
    check_url(url, private=private)
    parts = urlsplit(url)
    assert parts.hostname is not None
    port = parts.port or _PORTS[parts.scheme]
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise WebhookError(f"expected a host that can be found, got {parts.hostname!r}") from error
    addresses = [ipaddress.ip_address(str(address[0]).partition("%")[0]) for *_, address in found]
    if not private and not all(is_public(address) for address in addresses):
        raise WebhookError("expected a public address, got one inside a network (REID_WEBHOOKS=private allows them)")
    number = f"[{addresses[0]}]" if addresses[0].version == 6 else str(addresses[0])
    pinned = urlunsplit((parts.scheme, f"{number}:{port}", parts.path or "/", parts.query, ""))
    return Target(pinned, parts.netloc, parts.hostname)


def is_public(address: _Address) -> bool:
    """Whether an address is reached over the internet, and leads to no inner one by way of a translation."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if any(one is not None for one in inner) or address in ipaddress.ip_network("64:ff9b::/96"):
            return False
    return address.is_global and not address.is_multicast
