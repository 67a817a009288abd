"""Where a Milvus is, and which index it is to keep."""

from dataclasses import dataclass
from typing import Literal, Self, cast, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

LITE = "milvus-lite://"  # in this process, its files in REID_HOME
Kind = Literal["flat", "hnsw"]


@dataclass(frozen=True)
class MilvusAddress:
    """`url` as pymilvus takes it, None for Milvus Lite. Answers of another kind than "flat" are approximate."""

    url: str | None = None
    token: str = ""
    database: str = ""
    kind: Kind = "flat"

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `milvus[s]://[user:password@]host[:port][/database][?index=hnsw]` or `milvus-lite://`; or ValueError.

        >>> MilvusAddress.parse("milvus://10.0.0.5/yard?index=hnsw").url
        'http://10.0.0.5:19530'
        """
        parts = urlsplit(text)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        kind, is_lite = query.pop("index", "flat"), text.split("?")[0] == LITE
        if kind not in get_args(Kind) or query or parts.fragment:
            raise ValueError("expected ?index=flat or ?index=hnsw")
        if is_lite:
            return cls(kind=cast(Kind, kind))
        if parts.scheme not in ("milvus", "milvuss") or not parts.hostname:
            raise ValueError("expected faiss://, milvus://HOST[:PORT][/DATABASE][?index=hnsw] or milvus-lite://")
        scheme = "https" if parts.scheme == "milvuss" else "http"
        token = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return cls(f"{scheme}://{host}:{parts.port or 19530}", token, parts.path.strip("/"), cast(Kind, kind))
