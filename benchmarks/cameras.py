"""Next to the cameras: events of a Frigate to identities, and a street video to sightings.

The video and its detector are those of the tests' real data, under REID_DATASETS.
"""

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from reid import threads

threads.configure()

from benchmarks.harness import Row, compare, main
from reid.detection import load_detector
from service import client
from service.child import COMMAND, RunningService, running_service
from service.client import AsyncClient, Client
from service.frigate.adapter import Adapter, Terms
from service.frigate.api import Frigate
from service.frigate.ledger import Ledger
from service.ingest.frames import sources_of
from tests.service.conftest import crop
from tests.service.frigate.fake import FakeFrigate, serving

_EVENTS, _PEOPLE, _FPS = 40, 10, 5
_TERMS = Terms(max_false_match_rate=1e-4)


def rows() -> Iterator[Row]:
    """Both through a real service process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_service(folder / "home", folder / "log", settings={"REID_AUTH": "off"}) as service:
            yield _frigate(folder, service)
            yield _ingest(service)


def _frigate(folder: Path, service: RunningService) -> Row:
    """Each run has events of its own, of people whom the gallery has seen in those before."""
    numbers = count()

    async def once(fake: FakeFrigate) -> None:
        async with Frigate(fake.url) as source, AsyncClient(service.url) as reid:
            left = await Adapter(source, reid, Ledger(folder / "ledger.json"), _TERMS).catch_up()
            assert not left, "expected every event to be settled"

    with serving(FakeFrigate()) as fake, Client(service.url) as reid:

        def ours() -> None:
            fake.events.clear()
            for number in range(_EVENTS):
                fake.add(number % _PEOPLE, next(numbers), f"camera-{number % 3}")
            asyncio.run(once(fake))

        def alone() -> None:
            for number in range(_EVENTS):
                made = client.enrol([crop(number % _PEOPLE)], camera_id="other", tracklet_id=f"t{next(numbers)}")
                asked = reid.send(made).sightings[0].sighting_id
                queries = [{"sighting_id": asked}]
                reid.send(client.search(queries=queries, top_k=1, filter={"exclude_own_tracklet": True}))
                reid.send(client.change_sighting(asked, person_id=f"person-{number % _PEOPLE}"))

        return compare(
            "cameras frigate event to identity vs its calls alone",
            ours,
            alone,
            peer_name="enrolment, search and naming over REST, without a Frigate",
            pairs=5,
            per=_EVENTS,
        )


def _ingest(service: RunningService) -> Row:
    """Every run as another camera, so that nothing is known yet; the figure is of a frame that is looked at."""
    data = Path(os.environ["REID_DATASETS"])
    video = data / "video" / "vtest.avi"
    (detector,) = (data.parent / "weights" / "pedestrian-detection-adas-0002").rglob("*.xml")
    began = ["--began", "2026-03-01T12:00:00", "--fps", str(_FPS)]
    (source,) = sources_of(str(video), None)
    cameras, found = count(), load_detector(str(detector))

    def ours() -> None:
        given = ["--camera", f"street-{next(cameras)}", "--detector", str(detector), "--url", service.url]
        subprocess.run([*COMMAND, "ingest", str(video), *given, *began], check=True, stdout=subprocess.DEVNULL)

    def alone() -> None:
        for frame in source.frames(_FPS):
            found.detect(frame.image)

    return compare(
        "cameras ingest of a street video vs decoding and detecting",
        ours,
        alone,
        peer_name="the same frames decoded and looked at, nobody followed or enrolled",
        pairs=2,
        per=sum(1 for _ in source.frames(_FPS)),
    )


if __name__ == "__main__":
    main("cameras", rows)
