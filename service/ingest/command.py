"""`reid-service ingest`."""

import dataclasses
import hashlib
import signal
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Annotated

import typer
from rich.progress import Progress, TaskID

from reid import threads
from reid.images import encode_crop
from service import client
from service.client import Client
from service.ingest.frames import Frame, Source, Stream, sources_of
from service.remote import Key, Url, asking

_DETECTOR = "torchvision:fasterrcnn_mobilenet_v3_large_320_fpn"
_MOST_SHOWN = 200
_REJOIN_S = 5.0


def ingest(
    source: Annotated[str, typer.Argument(help="A video, a folder of videos, or the address of a stream (rtsp://…).")],
    camera: Annotated[str, typer.Option(help="The camera_id that took it.")],
    detector: Annotated[
        str,
        typer.Option(
            envvar="REID_DETECTOR", help="What finds people: a .xml or .onnx file (SSD-style), or torchvision:NAME."
        ),
    ] = _DETECTOR,
    began: Annotated[
        datetime | None,
        typer.Option(help="When the video began, UTC. Default: its length before the file was last written to."),
    ] = None,
    fps: Annotated[float, typer.Option(min=0.1, max=60, help="Frames a second to look at.")] = 5,
    crops: Annotated[int, typer.Option(min=1, max=16, help="How many crops of each tracklet to enrol.")] = 4,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="The least score of a detection.")] = 0.5,
    sheet: Annotated[Path | None, typer.Option(help="Draw the tracklets to this JPEG.")] = None,
    url: Url = client.DEFAULT_URL,
    key: Key = None,
) -> None:
    """Find the people in a video, follow each, and enrol the best crops of each tracklet.

    They are enrolled as unknown people, a tracklet_id each: search by `tracklet_id` who they are. Interrupted? Run it
    again: for 7 days the service knows what it has, and nothing is enrolled twice. A stream is read until Ctrl-C, and
    joined again when it breaks off.
    """
    threads.configure()
    from reid.detection import load_detector  # loads torch
    from service.ingest.sheet import write_sheet
    from service.ingest.tracklets import Tracklet, tracklets_of

    with asking(url, key) as service, Progress() as progress, ExitStack() as until:
        found, shown = load_detector(detector, min_score=min_score), list[Tracklet]()
        sources = sources_of(source, None if began is None else began.replace(tzinfo=UTC))
        enough = until.enter_context(_told_to_end()) if isinstance(sources, Stream) else Event()
        enrolled = 0
        for one in sources:
            bar = progress.add_task(one.name, total=one.duration_s)
            for tracklet in tracklets_of(_watched(one.frames(fps, enough), progress, bar), found, crops):
                name = f"{one.name}-{tracklet.number}"
                for crop in tracklet.crops:
                    _enrol(service, encode_crop(crop.image), camera, name, _taken_at(one, crop.time_s))
                enrolled += len(tracklet.crops)
                if sheet and len(shown) < _MOST_SHOWN:
                    shown.append(tracklet)
                progress.console.print(f"{name}: {len(tracklet.crops)} crops of {tracklet.frames} frames")
            if one.live:
                progress.remove_task(bar)
                if enough.wait(_REJOIN_S):
                    break
        if sheet:
            write_sheet(sheet, shown, crops)
    typer.echo(f"{enrolled} sightings enrolled on camera {camera}")


@contextmanager
def _told_to_end() -> Iterator[Event]:
    """Set by Ctrl-C or SIGTERM: whoever is in view is still enrolled. A second one ends it at once."""
    told = Event()

    def tell(number: int, _: object) -> None:
        told.set()
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _taken_at(source: Source, time_s: float) -> datetime:
    """What a stream sends at once may be stamped with times to come, and nobody is seen then."""
    at = source.began + timedelta(seconds=time_s)
    return min(at, datetime.now(UTC)) if source.live else at


def _watched(frames: Iterable[Frame], progress: Progress, bar: TaskID) -> Iterator[Frame]:
    for frame in frames:
        progress.update(bar, completed=frame.time_s)
        yield frame


def _enrol(service: Client, image: bytes, camera: str, tracklet: str, at: datetime) -> None:
    """Under a key made of all that is said: the same crop again is the same sighting."""
    call = client.enrol([image], camera_id=camera, tracklet_id=tracklet, captured_at=at.isoformat())
    said = hashlib.sha256(image + f"{camera}\n{tracklet}\n{at.isoformat()}".encode()).hexdigest()
    service.send(dataclasses.replace(call, headers={"Idempotency-Key": said}))
