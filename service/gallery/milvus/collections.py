"""The collections of one gallery in Milvus: made, filled, searched, dropped."""

import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from service.gallery.errors import HomeError, IndexAwayError
from service.gallery.milvus.address import MilvusAddress

if TYPE_CHECKING:
    from pymilvus import MilvusClient

MOST_RESULTS = 16_384  # of one query, that Milvus gives
_PATIENCE_S = 5.0  # with one call
_ROW, _VECTOR = "row", "vector"


class Collections:
    """A connection, and those collections whose names begin with `name`. Raises IndexAwayError.

    Milvus Lite is a server in this process with its files below `home`; nothing there outlives a connection.
    """

    def __init__(self, address: MilvusAddress, home: Path, name: str) -> None:
        self._address = address
        self._name = name
        self._lite = None if address.url is not None else home / "milvus" / "index.db"
        self._client = self._connected()
        self._sweep()

    def new_name(self) -> str:
        """One that no other collection has."""
        return f"{self._name}{os.urandom(6).hex()}"

    def make(self, collection: str, dimension: int) -> None:
        """Make an empty one."""
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field(_ROW, DataType.INT64, is_primary=True)
        schema.add_field(_VECTOR, DataType.FLOAT_VECTOR, dim=dimension)
        indexes = MilvusClient.prepare_index_params()
        build = {"M": 32, "efConstruction": 200} if self._address.kind == "hnsw" else {}
        indexes.add_index(_VECTOR, index_type=self._address.kind.upper(), metric_type="IP", params=build)
        with _answering():
            self._client.create_collection(
                collection, schema=schema, index_params=indexes, consistency_level="Strong", timeout=_PATIENCE_S
            )

    def put(self, collection: str, rows: NDArray[np.int64], vectors: NDArray[np.float16]) -> None:
        """Keep `vectors` (N, D) under `rows` (N,), whether they were there or not."""
        if not len(rows):
            return
        data = [
            {_ROW: row, _VECTOR: vector} for row, vector in zip(rows.tolist(), vectors.astype(np.float32), strict=True)
        ]
        with _answering():
            self._client.upsert(collection, data, timeout=_PATIENCE_S)

    def count(self, collection: str) -> int:
        """How many rows it has; -1 if it is gone. A Milvus that was started again has it loaded from here on."""
        with _answering():
            if not self._client.has_collection(collection, timeout=_PATIENCE_S):
                return -1
            self._client.load_collection(collection, timeout=_PATIENCE_S)
            found = self._client.query(
                collection, output_fields=["count(*)"], consistency_level="Strong", timeout=_PATIENCE_S
            )
        return int(found[0]["count(*)"])

    def drop(self, collection: str) -> None:
        """Away with it; it may be gone already."""
        with _answering():
            self._client.drop_collection(collection, timeout=_PATIENCE_S)

    def search(
        self, collection: str, queries: NDArray[np.float32], depth: int, wanted: str
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Of each of `queries` (Q, D) the best rows, `depth` at most, of those that are `wanted`, and their scores."""
        parameters = {"ef": max(2 * depth, 64)} if self._address.kind == "hnsw" else {}
        with _answering():
            found = self._client.search(
                collection,
                data=list(queries),
                filter=wanted,
                limit=depth,
                output_fields=[_ROW],
                search_params={"metric_type": "IP", "params": parameters},
                consistency_level="Strong",
                timeout=_PATIENCE_S,
            )
        return [
            (
                np.array([hit[_ROW] for hit in hits], np.int64),
                np.array([hit["distance"] for hit in hits], np.float32),
            )
            for hits in found
        ]

    def close(self) -> None:
        """Let go of the connection; Milvus Lite ends."""
        self._client.close()
        if self._lite is not None:
            from milvus_lite.server_manager import server_manager_instance

            server_manager_instance.release_server(str(self._lite))

    def _connected(self) -> "MilvusClient":
        from pymilvus import MilvusClient

        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # what it raises is said by us, once
        with _answering():
            if self._address.url is not None:
                return MilvusClient(
                    self._address.url, token=self._address.token, db_name=self._address.database, timeout=_PATIENCE_S
                )
            assert self._lite is not None
            logging.getLogger("grpc._server").setLevel(logging.CRITICAL)  # calls that Milvus Lite has no need of
            # The store has all of it: what another run left, whole or torn, is not looked at.
            shutil.rmtree(self._lite, ignore_errors=True)
            self._lite.parent.mkdir(mode=0o700, exist_ok=True)
            return MilvusClient(str(self._lite))

    def _sweep(self) -> None:
        with _answering():
            for collection in self._client.list_collections(timeout=_PATIENCE_S):
                if collection.startswith(self._name):
                    self._client.drop_collection(collection, timeout=_PATIENCE_S)


def check_installed(address: MilvusAddress) -> None:
    """Raise HomeError if the extra that the address needs is not there."""
    for module, extra in (("pymilvus", "milvus"), ("milvus_lite", "milvus-lite")):
        if find_spec(module) is None and (address.url is None or extra == "milvus"):
            raise HomeError(f"REID_INDEX: expected {module} (pip install 'reid-service[{extra}]'), got none")


def expression(living: NDArray[np.int64], others: NDArray[np.int64]) -> str:
    """That a row is one of `living` and none of `others`, by whichever is the shorter list."""
    if len(living) <= len(others):
        return f"{_ROW} in {_listed(living)}"
    return f"{_ROW} not in {_listed(others)}" if len(others) else ""


def _listed(rows: Sequence[int] | NDArray[np.int64]) -> str:
    return "[" + ",".join(map(str, np.asarray(rows).tolist())) + "]"


@contextmanager
def _answering() -> Iterator[None]:
    import grpc
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except (MilvusException, grpc.RpcError, grpc.FutureTimeoutError, OSError, ValueError) as error:
        raise IndexAwayError(f"expected a Milvus that answers, got: {' '.join(str(error).split())}") from error
