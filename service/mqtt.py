"""Where an MQTT broker is."""

from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import aiomqtt

from reid.errors import ReidError

_PORT = 1883


class BrokerError(ReidError):
    """An address that is none of a broker."""


@dataclass(frozen=True)
class Broker:
    """Host and port, and who asks."""

    host: str
    port: int = _PORT
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `mqtt://[USER:PASSWORD@]HOST[:PORT]`, or raise BrokerError. What a URL cannot hold is percent-encoded.

        >>> Broker.parse("mqtt://frigate:p%40ss@10.0.0.5").password
        'p@ss'
        """
        expected = "expected a broker as mqtt://[USER:PASSWORD@]HOST[:PORT]"
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port or _PORT
        except ValueError as error:
            raise BrokerError(f"{expected}, got one with: {error}") from error
        if parts.scheme != "mqtt" or not host or parts.path.strip("/") or parts.query or parts.fragment:
            raise BrokerError(f"{expected}, got {text.rpartition('@')[2]!r}")
        username, password = (None if one is None else unquote(one) for one in (parts.username, parts.password))
        return cls(host, port, username, password)

    def client(self, **options: Any) -> aiomqtt.Client:
        """A connection to be opened, with more of aiomqtt's own `options`."""
        return aiomqtt.Client(self.host, self.port, username=self.username, password=self.password, **options)
