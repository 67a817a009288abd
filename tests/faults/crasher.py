"""Kill a gallery at random moments under mixed load, and check after each kill all that it had acknowledged.

`python -m tests.faults.crasher --kills 1000 [--redis]`. The process that is killed loads no torch: it starts at once.
"""

import argparse
import itertools
import json
import os
import random
import select
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from service.gallery.gallery import Gallery
from tests.faults.operations import Known, Operation, draw, found, ids_of, perform
from tests.redis_server import RedisServer, running_redis
from tests.service.gallery.conftest import (
    BUNDLE,
    DIMENSIONS,
    EVERYONE,
    MEMORY,
    OTHER,
    crop,
    embed,
    files,
    kept,
    looking_like,
    reopen_gallery,
)
from tests.service.gallery.conftest import found as matches

WORKERS = ("ada", "bob", "cy")
Sabotage = Callable[[Gallery], None]
_SLOWEST_KILL_S = 0.09
_SLOWEST_REDIS_KILL_S = 0.6  # an erasure takes that long
_OPENED, _SLOWEST_OPENING_S = 0.8, 10.0  # share of the kills that come later than the start


@dataclass
class Worker:
    """What a worker was told is done, and what it had asked for when it was killed."""

    known: Known = field(default_factory=Known)
    asked: Operation | None = None


class Crasher:
    """One home, opened and killed again and again. `sabotage` breaks what is killed, to see whether that is noticed."""

    def __init__(
        self, home: Path, seed: int, sabotage: Sabotage = lambda _: None, slowest_kill_s: float = _SLOWEST_KILL_S
    ) -> None:
        self.home = home
        self.sabotage = sabotage
        self.slowest_kill_s = slowest_kill_s
        self.bundles = {BUNDLE}  # that may be in force: the last switch that was told, and what was asked for since
        self.rng = random.Random(seed)
        self.workers = {name: Worker() for name in WORKERS}
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []

    def round(self, number: int) -> None:
        """Start, kill, look at the disk, open again, compare."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _work(self, f"{number}", self.rng.random(), writing)
        os.close(writing)
        if self.rng.random() < _OPENED:
            select.select([reading], [], [], _SLOWEST_OPENING_S)  # until it is open, and asked for something
        time.sleep(self.rng.uniform(0, self.slowest_kill_s))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(reading, "rb") as events:
            gone = self._follow(events.read())
        self.counts["kills"] += 1
        self._check_bytes(gone)
        self._check_records()

    def open(self) -> Gallery:
        """The gallery as it was left."""
        return reopen_gallery(self.home)

    def files(self) -> dict[str, bytes]:
        """All that is on the disk."""
        return files(self.home)

    def kept(self) -> set[bytes]:
        """The crops that are kept."""
        return kept(self.home)

    def _follow(self, events: bytes) -> set[str]:
        """Bring what is known up to date; the crops and names that were erased, and are therefore gone."""
        gone: set[str] = set()
        for line in events.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break
            event = json.loads(line)
            if event["worker"] == "model":
                self._follow_switch(event)
                continue
            worker = self.workers[event["worker"]]
            if "asked" in event:
                worker.asked = event["asked"]
            elif "failed" in event:
                self.faults.append(f"failed: {event}")
            else:
                before, worker.known = worker.known, worker.known.after(worker.asked)
                if worker.asked[0] in ("erase", "delete") and not event["pending"]:
                    gone |= set(before.owners) - set(worker.known.owners)
                if worker.asked[0] == "erase" and not event["pending"]:
                    gone |= {before.names[worker.asked[1]]} - {None}
                worker.asked = None
                self.counts["acknowledged"] += 1
        return gone

    def _follow_switch(self, event: dict[str, str]) -> None:
        if "asked" in event:
            self.bundles.add(event["asked"])
        elif "failed" in event:
            self.faults.append(f"failed: {event}")
        else:
            self.bundles = {event["done"]}
            self.counts["switches"] += 1

    def _check_bytes(self, gone: set[str]) -> None:
        if not gone:
            return
        everything = b"".join(self.files().values())
        self.faults += [f"resurrected on the disk: {text}" for text in gone if text.encode() in everything]

    def _check_records(self) -> None:
        gallery = self.open()
        try:
            if gallery.bundle_id not in self.bundles:
                self.faults.append(f"expected a bundle of {self.bundles}, got {gallery.bundle_id}")
            self.bundles = {gallery.bundle_id}
            for name, worker in self.workers.items():
                allowed = [worker.known] if worker.asked is None else [worker.known, worker.known.after(worker.asked)]
                texts = sorted({text for one in allowed for text in one.owners})
                doubled = [text for text, some in ids_of(gallery, texts).items() if len(some) > 1]
                actual = found(gallery, name, texts)
                if doubled or actual not in allowed:
                    self.faults.append(f"{name}: doubled {doubled}, {_differences(worker.known, actual)}")
                worker.known = actual
                if worker.asked is not None and worker.asked[0] != "enrol":
                    worker.asked = None  # done or not: only an enrolment carries a key to ask again with
            needed = {crop(text).jpeg for worker in self.workers.values() for text in worker.known.owners}
            total = sum(len(worker.known.owners) for worker in self.workers.values())
            if (self.kept(), gallery.sightings_indexed) != (needed, total):
                self.faults.append(f"expected {total} sightings and their crops, got {gallery.sightings_indexed}")
            self._check_a_search(gallery)
        finally:
            gallery.close()

    def _check_a_search(self, gallery: Gallery) -> None:
        """A sighting's own crop finds it, with the vectors of the bundle in force."""
        texts = sorted(text for worker in self.workers.values() for text in worker.known.owners)
        if texts:
            text = self.rng.choice(texts)
            best = matches(gallery, looking_like(text, gallery.bundle_id), top_k=1, min_score=0.99)
            if best != ids_of(gallery, [text])[text]:
                self.faults.append(f"expected to find {text}, got {best}")


class RedisCrasher(Crasher):
    """Kills a service over Redis: Redis lives on, and holds what was acknowledged."""

    def __init__(self, home: Path, seed: int, server: RedisServer) -> None:
        super().__init__(home, seed, slowest_kill_s=_SLOWEST_REDIS_KILL_S)
        self.server = server

    def open(self) -> Gallery:
        return reopen_gallery(self.home, self.server.address())

    def files(self) -> dict[str, bytes]:
        return super().files() | files(self.server.folder)

    def kept(self) -> set[bytes]:
        return {self.server.client.get(key) for key in self.server.client.keys("*:crop:*")}


def _differences(known: Known, actual: Known) -> str:
    lost = [text for text in known.owners if text not in actual.owners]
    resurrected = [text for text in actual.owners if text not in known.owners]
    return f"lost {lost}, resurrected {resurrected}, known {known}, found {actual}"


def _work(crasher: Crasher, number: str, seed: float, events: int) -> None:
    """Open the gallery and load it until killed; never returns."""
    try:
        gallery = crasher.open()
        crasher.sabotage(gallery)
        threads = [
            threading.Thread(
                target=_load, args=(gallery, name, worker, number, random.Random(f"{seed} {name}"), events)
            )
            for name, worker in crasher.workers.items()
        ]
        threads.append(threading.Thread(target=_switch, args=(gallery, events)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        os._exit(1)


def _switch(gallery: Gallery, events: int) -> None:
    """From one bundle to the other, and back."""

    def tell(**event: str) -> None:
        os.write(events, json.dumps({"worker": "model", **event}).encode() + b"\n")

    try:
        while True:
            to = OTHER if gallery.bundle_id == BUNDLE else BUNDLE
            tell(asked=to)
            gallery.activate(EVERYONE, to, DIMENSIONS[to], partial(embed, bundle_id=to), lambda done, total: None)
            tell(done=to)
    except Exception as error:  # noqa: BLE001 (the parent judges)
        tell(failed=repr(error))


def _load(gallery: Gallery, name: str, worker: Worker, number: str, rng: random.Random, events: int) -> None:
    """Ask again for an enrolment that was cut short, under the same key; then for one thing after another."""

    def tell(**event: object) -> None:
        os.write(events, json.dumps({"worker": name, **event}).encode() + b"\n")

    known = worker.known
    ids = {text: some[0] for text, some in ids_of(gallery, sorted(known.owners)).items()}
    again = [] if worker.asked is None else [worker.asked]
    try:
        for step in itertools.count():
            operation = again.pop() if again else draw(rng, name, known, f"{number} {step}")
            tell(asked=operation)
            pending = perform(gallery, ids, operation)
            known = known.after(operation)
            tell(pending=pending)
    except Exception as error:  # noqa: BLE001 (the parent judges)
        tell(failed=repr(error))


def main() -> int:
    """Kill as often as asked; 0 if nothing was ever lost, resurrected or doubled."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.crasher")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--redis", action="store_true", help="over a redis-server that lives on")
    arguments = parser.parse_args()
    assert "torch" not in sys.modules
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder, ExitStack() as running:
        crasher = Crasher(Path(folder), arguments.seed)
        if arguments.redis:
            server = running.enter_context(running_redis(Path(folder) / "redis"))
            crasher = RedisCrasher(Path(folder) / "home", arguments.seed, server)
        for number in range(arguments.kills):
            crasher.round(number)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(crasher.counts.items()))
    print(counts, f"{len(crasher.faults)} faults", *crasher.faults[:20], sep="\n")
    return 1 if crasher.faults else 0


if __name__ == "__main__":
    sys.exit(main())
