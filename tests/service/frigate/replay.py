"""Thousands of events of real people through a real broker: the same identities whatever is lost, and how good.

    python -m tests.service.frigate.replay --data DATASETS --detector FILE.xml --people 100

Events are what the test people of Market-1501 did: a crop of each of their walks past a camera, at its time,
and the tracklets of a street video. They are replayed three times, each time into a new gallery: as they are; with
messages lost, doubled and out of order, and a broker that is away and back; and with a Frigate beside that answers
late, or 404, 500 or 503 where a snapshot is asked for. Prints a line of JSON for each. Precision: of all pairs of
Market-1501's events that were given one identity, how many show one person; recall: of all pairs of one person, how
many were given one identity.
"""

import argparse
import asyncio
import io
import itertools
import json
import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt
from PIL import Image

from reid.datasets.market1501 import FRAMES_PER_SECOND, MarketCrop, read_market1501
from reid.detection import load_detector
from reid.images import decode_image
from service import client
from service.child import COMMAND, free_port, running_service
from service.client import Client
from service.ingest.frames import sources_of
from service.ingest.tracklets import tracklets_of
from tests.service.frigate.fake import FRAME_WH, FakeFrigate, serving
from tests.service.mosquitto import running_mosquitto

_ONE_WALK_S = 5.0  # between two crops of it, at most
_BEGAN_S = 1_770_000_000.0
_PART = 100  # events between two looks at what became of them
_PATIENCE_S = 600
_LOST, _FAULTY, _SLOW_S = 0.5, 0.05, 0.5


@dataclass(frozen=True)
class Shown:
    """What an event shows: a crop, on a camera, at a time; `person` is known for Market-1501's alone."""

    crop: Image.Image
    camera: str
    at_s: float
    person: int | None


@dataclass
class ManyFrigate(FakeFrigate):
    """Its snapshots are the crops of :class:`Shown`, in a grey frame."""

    shown: dict[str, Shown] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)

    def show(self, one: Shown, number: int) -> str:
        """An event that has ended; its id."""
        width, height = FRAME_WH
        box = [0.0, 0.0, min(1.0, one.crop.width / width), min(1.0, one.crop.height / height)]
        times = {"start_time": _BEGAN_S + one.at_s, "end_time": _BEGAN_S + one.at_s + 1}
        event_id = self.add(0, number, one.camera, data={"box": box, "score": 0.8, "type": "object"}, **times)
        self.shown[event_id] = one
        return event_id

    def snapshot(self, event_id: str) -> bytes:
        """As Frigate keeps it, soon or late."""
        if event_id in self.slow:
            time.sleep(_SLOW_S)
        frame = Image.new("RGB", FRAME_WH, "grey")
        frame.paste(self.shown[event_id].crop, (0, 0))
        buffer = io.BytesIO()
        frame.save(buffer, "WEBP", lossless=True)
        return buffer.getvalue()


def events_of(data: Path, detector: Path, people: int, seed: int) -> list[Shown]:
    """The walks of so many of Market-1501's people, and those of the video, in the order of time."""
    market = read_market1501(data)
    begins_s = _begins_s([*market.train, *market.query, *market.gallery])
    seen: dict[int, dict[int, list[tuple[float, MarketCrop]]]] = {}
    for crop in market.gallery:
        at_s = begins_s[crop.sequence] + crop.frame / FRAMES_PER_SECOND
        if crop.pid > 0:
            seen.setdefault(crop.pid, {}).setdefault(crop.camid, []).append((at_s, crop))
    chosen = random.Random(seed).sample(sorted(seen), people)
    shown = [*_street(data, detector)]
    for pid in chosen:
        for camid, crops in seen[pid].items():
            shown += [
                Shown(decode_image(crop.path.read_bytes()), f"market-{camid}", at_s, pid)
                for at_s, crop in _walks(sorted(crops, key=lambda one: one[0]))
            ]
    return sorted(shown, key=lambda one: one.at_s)


def _begins_s(crops: list[MarketCrop]) -> dict[int, float]:
    """When each sequence begins, as if they followed each other and all cameras began each at once."""
    frames: dict[int, int] = {}
    for crop in crops:
        frames[crop.sequence] = max(frames.get(crop.sequence, 0), crop.frame)
    lengths_s = [frames[sequence] / FRAMES_PER_SECOND for sequence in sorted(frames)]
    return dict(zip(sorted(frames), itertools.accumulate(lengths_s, initial=0.0), strict=False))


def _walks(crops: list[tuple[float, MarketCrop]]) -> Iterator[tuple[float, MarketCrop]]:
    """Of crops in the order of time the middle one of each walk, at the walk's beginning."""
    breaks = [0, *(n for n in range(1, len(crops)) if crops[n][0] - crops[n - 1][0] > _ONE_WALK_S), len(crops)]
    for begin, end in itertools.pairwise(breaks):
        yield crops[begin][0], crops[(begin + end) // 2][1]


def _street(data: Path, detector: Path) -> Iterator[Shown]:
    (source,) = sources_of(str(data / "video" / "vtest.avi"), None)
    for tracklet in tracklets_of(source.frames(5), load_detector(str(detector)), 1):
        crop = tracklet.crops[0]
        crop.image.thumbnail(FRAME_WH)
        yield Shown(crop.image, "street", crop.time_s, None)


class Replay:
    """One run: a service, a broker and an adapter of its own."""

    def __init__(self, folder: Path, seed: int, *, lossy: bool = False, faulty: bool = False) -> None:
        self._folder = folder
        self._lossy, self._faulty = lossy, faulty
        self._chance = random.Random(seed)
        self._frigate = ManyFrigate()
        self._port = free_port(0)

    def run(self, shown: list[Shown]) -> tuple[dict[int, str], dict[str, object]]:
        """Identities by the numbers of events, and what is to be told of them."""
        self._folder.mkdir()
        with ExitStack() as running:
            running.enter_context(serving(self._frigate))
            url = running.enter_context(
                running_service(self._folder / "home", self._folder / "log", settings={"REID_AUTH": "off"})
            ).url
            running.enter_context(self._adapter(url))
            begun_s = time.monotonic()
            for start in range(0, len(shown), _PART):
                self._replay(shown[start : start + _PART], start)
                self._wait(url, start + len(shown[start : start + _PART]))
            taken_s = time.monotonic() - begun_s
            found = _identities(url)
        numbers = {event_id: number for number, event_id in enumerate(self._frigate.shown)}
        identities = {numbers[event_id]: person for event_id, person in found.items()}
        told = {
            "run": self._folder.name,
            "events": len(shown),
            "per_second": round(len(shown) / taken_s, 1),
            "identities": len(set(identities.values())),
            **judged(shown, identities),
        }
        return {number: self._numbered(person, numbers) for number, person in identities.items()}, told

    @staticmethod
    def _numbered(person: str, numbers: Mapping[str, int]) -> str:
        return f"that of event {numbers[person.removeprefix('unknown-')]}"

    def _replay(self, part: list[Shown], start: int) -> None:
        with running_mosquitto(self._folder, self._port):  # each part another: what is said in between is lost
            ids = [self._frigate.show(one, start + number) for number, one in enumerate(part)]
            heard = [json.dumps({"type": "end", "after": {"id": event_id}}) for event_id in ids]
            if self._faulty:
                self._spoil(ids)
            if self._lossy:
                heard = [one for one in heard if self._chance.random() >= _LOST]
                self._chance.shuffle(heard)
                heard = ["not json", *heard, *heard]
            asyncio.run(_publish(self._port, heard))

    def _spoil(self, ids: list[str]) -> None:
        """Some of the snapshots are not answered the first time, some late."""
        for event_id in ids:
            if self._chance.random() < _FAULTY:
                path = f"/api/events/{event_id}/snapshot-clean.webp"
                self._frigate.faults[path] = [self._chance.choice([404, 500, 503])]
            elif self._chance.random() < _FAULTY:
                self._frigate.slow.add(event_id)

    def _wait(self, url: str, wanted: int) -> None:
        until_s = time.monotonic() + _PATIENCE_S
        while len(found := _identities(url)) < wanted or None in found.values():
            if time.monotonic() > until_s:
                raise TimeoutError(f"expected {wanted} events to be settled in {_PATIENCE_S} s, got {len(found)}")
            time.sleep(1)

    @contextmanager
    def _adapter(self, url: str) -> Iterator[None]:
        given = ["--frigate", self._frigate.url, "--ledger", str(self._folder / "ledger.json"), "--url", url]
        with (self._folder / "adapter.log").open("w") as log:
            process = subprocess.Popen(
                [*COMMAND, "frigate", *given, "--mqtt", f"mqtt://127.0.0.1:{self._port}"], stderr=log
            )
        try:
            yield
        finally:
            process.terminate()
            process.wait()


async def _publish(port: int, messages: Iterable[str]) -> None:
    async with aiomqtt.Client("127.0.0.1", port) as connection:
        for message in messages:
            await connection.publish("frigate/events", message)


def _identities(url: str) -> dict[str, str]:
    """Event ids → person ids; raises where an event was enrolled twice."""
    found: dict[str, str] = {}
    with Client(url) as reid:
        for page in reid.pages(client.sightings(limit=1000)):
            for one in page.sightings:
                event_id = str(one.metadata["frigate_event"])
                assert event_id not in found, f"{event_id} was enrolled twice"
                found[event_id] = one.person_id
    return found


def judged(shown: list[Shown], identities: Mapping[int, str]) -> dict[str, float]:
    """Precision and recall over pairs of the events whose people are known."""
    known = [(one.person, identities[number]) for number, one in enumerate(shown) if one.person is not None]
    together = _pairs(Counter(known).values())
    return {
        "precision": round(together / max(1, _pairs(Counter(identity for _, identity in known).values())), 4),
        "recall": round(together / max(1, _pairs(Counter(person for person, _ in known).values())), 4),
    }


def _pairs(sizes: Iterable[int]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes)


def main() -> None:
    """Replay three times, compare, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.service.frigate.replay", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="Market-1501 below it, and video/vtest.avi")
    parser.add_argument("--detector", type=Path, required=True)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    shown = events_of(given.data, given.detector, given.people, given.seed)
    runs = {"clean": {}, "lossy": {"lossy": True}, "faulty": {"lossy": True, "faulty": True}}
    first: dict[int, str] = {}
    with tempfile.TemporaryDirectory() as name:
        for run, faults in runs.items():
            found, told = Replay(Path(name) / run, given.seed, **faults).run(shown)
            first = first or found
            same = sum(found[number] == first[number] for number in first)
            print(json.dumps(told | {"as in the first run": same}), flush=True)


if __name__ == "__main__":
    main()
