"""Where a gallery in Redis is, and what is expected of its disk."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self
from urllib.parse import parse_qsl, urlsplit, urlunsplit

Fsync = Literal["always", "everysec", "no"]  # the strictest first


@dataclass(frozen=True)
class RedisAddress:
    """`url` as redis-py takes it; all keys of the gallery carry its name as their hash tag."""

    url: str
    gallery: str = "reid"
    fsync: Fsync = "always"  # the weakest `appendfsync` to accept
    cluster: bool = False  # whether `url` is a node of a Redis Cluster
    crops: Path | None = None  # the folder that all services see; None: crops are in Redis, too

    @classmethod
    def parse(cls, text: str, fsync: Fsync = "always", crops: Path | None = None) -> Self:
        """From `redis://[user:password@]host[:port][/database][?gallery=name&cluster=yes]`; raises ValueError.

        >>> RedisAddress.parse("redis://127.0.0.1/0?gallery=yard").gallery
        'yard'
        """
        parts = urlsplit(text)
        _ = parts.port  # raises ValueError for one that cannot be
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        gallery, cluster = query.pop("gallery", "reid"), query.pop("cluster", "no")
        if (
            cluster not in ("yes", "no")
            or parts.scheme not in ("redis", "rediss")
            or not parts.hostname
            or query
            or parts.fragment
        ):
            raise ValueError("expected redis://HOST[:PORT][/DATABASE][?gallery=NAME&cluster=yes]")
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", gallery):
            raise ValueError("expected a gallery of 1 to 64 letters, digits, dots, dashes and underscores")
        return cls(urlunsplit(parts._replace(query="")), gallery, fsync, cluster == "yes", crops)
