"""What a gallery in Redis costs beside one in SQLite: enrolments and searches, one service and two, bytes and traffic.

Vectors of 256 numbers and crops of 6 kB, no network: the stores alone. It starts a redis-server of its own.
"""

import multiprocessing
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import redis

from benchmarks.harness import Row, compare, main
from service.gallery.gallery import Gallery
from service.gallery.milvus.address import MilvusAddress
from service.gallery.records import Actor, Crop, Moment, SightingFields
from service.gallery.redis.address import RedisAddress
from service.gallery.search import Query, Terms

_DIMENSION, _CROP_BYTES, _BUNDLE = 256, 6_000, "b" * 64
_WRITERS, _ENROLLED, _SEARCHES = 16, 320, 100
_ACTOR = Actor("benchmark")


def rows() -> Iterator[Row]:
    """Times first, on galleries that grow alike; then what the one in Redis takes."""
    with tempfile.TemporaryDirectory() as folder, _redis(Path(folder) / "redis") as client:
        port = client.connection_pool.connection_kwargs["port"]
        address, crops = RedisAddress(f"redis://127.0.0.1:{port}"), Path(folder) / "crops"
        with ExitStack() as opened:
            in_redis = opened.enter_context(closing(_open(Path(folder) / "one", address)))
            in_file = opened.enter_context(
                closing(_open(Path(folder) / "two", Path(folder) / "two" / "gallery.sqlite"))
            )
            yield compare(
                f"stores enrolment {_WRITERS} writers in redis vs in sqlite",
                partial(_enrol, in_redis),
                partial(_enrol, in_file),
                peer_name="the SQLite store, an fsync for each group of writes too",
                pairs=3,
                per=_ENROLLED,
            )
            timed = compare(
                "stores search and its audit line in redis vs in sqlite",
                partial(_search, in_redis),
                partial(_search, in_file),
                peer_name="the SQLite store",
                pairs=3,
                per=_SEARCHES,
            )
            yield timed
            with closing(_open(Path(folder) / "files", RedisAddress(address.url, "files", crops=crops))) as in_files:
                yield compare(
                    f"stores enrolment {_WRITERS} writers in redis with crops in a folder vs all of it in redis",
                    partial(_enrol, in_files),
                    partial(_enrol, in_redis),
                    peer_name="crops in Redis, too",
                    pairs=3,
                    per=_ENROLLED,
                )
            yield from _costs(timed, client, in_redis)
            yield from _in_milvus(
                Path(folder), {"sqlite": in_file, "redis": in_redis}, RedisAddress(address.url, "lite")
            )
        with (
            closing(_Services(Path(folder), RedisAddress(address.url, "two"), 2)) as two,
            closing(_Services(Path(folder), RedisAddress(address.url, "one"), 1)) as one,
        ):
            for what, per in (("enrolment", _ENROLLED), ("search", _SEARCHES)):
                yield compare(
                    f"stores {what} {_WRITERS} callers of two services vs of one",
                    partial(two.do, what),
                    partial(one.do, what),
                    peer_name="one service over the same Redis, as many callers",
                    pairs=3,
                    per=per,
                )


def _in_milvus(folder: Path, in_memory: dict[str, Gallery], in_redis: RedisAddress) -> Iterator[Row]:
    """Each store with its vectors in Milvus Lite, in this process, beside the same store with them in memory."""
    for store, peer in in_memory.items():
        home = folder / f"{store} in milvus"
        address = in_redis if store == "redis" else home / "gallery.sqlite"
        with closing(Gallery(home, address, _BUNDLE, _DIMENSION, MilvusAddress())) as gallery:
            for _ in range(2):
                _enrol(gallery)
            _search(gallery)  # a first time: what is made once is made
            for what, work, per in (("enrolment", _enrol, _ENROLLED), ("search", _search, _SEARCHES)):
                yield compare(
                    f"stores {what} in {store} and milvus lite vs in {store} and memory",
                    partial(work, gallery),
                    partial(work, peer),
                    peer_name="the same store, its vectors in memory",
                    pairs=3,
                    per=per,
                )


def _costs(timed: Row, client: "redis.Redis", gallery: Gallery) -> Iterator[Row]:
    before, memory = client.info("stats"), client.info("memory")["used_memory"]
    _enrol(gallery)
    after, grown = client.info("stats"), client.info("memory")["used_memory"] - memory
    moved = sum(after[name] - before[name] for name in ("total_net_input_bytes", "total_net_output_bytes"))
    least = _CROP_BYTES + 2 * _DIMENSION
    for what, value in (("memory of redis", grown), ("traffic with redis", moved)):
        ours = value / _ENROLLED
        ratio = round(least / ours, 3)
        yield replace(
            timed,
            name=f"stores {what} for an enrolment vs its crop and vector",
            ours=round(ours),
            peer=float(least),
            peer_name="the bytes of the crop and the vector",
            ratio=ratio,
            spread=(ratio, ratio),
            unit="B",
        )


def _open(home: Path, address: RedisAddress | Path) -> Gallery:
    return Gallery(home, address, _BUNDLE, _DIMENSION)


def _enrol(gallery: Gallery, crops: int = _ENROLLED, writers: int = _WRITERS) -> None:
    def enrol(_: int) -> None:
        vector = np.random.default_rng().standard_normal(_DIMENSION, np.float32)
        unit = (vector / np.linalg.norm(vector)).astype(np.float16)
        crop = Crop(os.urandom(_CROP_BYTES), 64, 128, unit, _BUNDLE)
        gallery.enrol(_ACTOR, [crop], SightingFields(Moment.now(), "ada", "north"))

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(enrol, range(crops)))


def _search(gallery: Gallery, searches: int = _SEARCHES, callers: int = 1) -> None:
    vector = np.random.default_rng(0).standard_normal(_DIMENSION, np.float32)
    query = Query(embeddings=(vector / np.linalg.norm(vector))[None], bundle_id=_BUNDLE)
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(lambda _: gallery.search(_ACTOR, [(query, Terms(top_k=5))]), range(searches)))


class _Services:
    """Each in a process of its own, so that they share nothing but Redis."""

    def __init__(self, folder: Path, address: RedisAddress, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._ends = []
        for number in range(count):
            ours, theirs = context.Pipe()
            home = folder / f"service {number} of {count}"
            context.Process(target=_serve, args=(home, address, count, theirs), daemon=True).start()
            self._ends.append(ours)
        self._all_answer()

    def do(self, what: str) -> None:
        """Its share by each of them: `enrolment` or `search`."""
        for end in self._ends:
            end.send(what)
        self._all_answer()

    def close(self) -> None:
        for end in self._ends:
            end.send("close")
        self._all_answer()

    def _all_answer(self) -> None:
        for end in self._ends:
            end.recv()


def _serve(home: Path, address: RedisAddress, of: int, end: "Connection[str, str]") -> None:
    with closing(_open(home, address)) as gallery:
        end.send("open")
        while (what := end.recv()) != "close":
            work, total = (_enrol, _ENROLLED) if what == "enrolment" else (_search, _SEARCHES)
            work(gallery, total // of, _WRITERS // of)
            end.send("done")
    end.send("closed")


@contextmanager
def _redis(folder: Path) -> Iterator["redis.Redis"]:
    folder.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    command = ["redis-server", "--port", str(port), "--dir", str(folder), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        with closing(redis.Redis(port=port)) as client:
            while True:
                try:
                    client.ping()
                    break
                except redis.ConnectionError:
                    time.sleep(0.05)
            yield client
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main("stores", rows)
