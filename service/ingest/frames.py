"""Frames of an operator's own videos and streams, some of them, with the time of each."""

import hashlib
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import av
from av.container import InputContainer
from PIL import Image

from reid.errors import SourceError

_LOG = logging.getLogger("service.ingest")
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".ts")
_REMOTE = ("rtsp://", "rtsps://", "http://", "https://")
_HEAD_BYTES = 2**20
_OPEN_S, _READ_S = 10.0, 30.0
_LATE_S, _AHEAD_S = 2.0, 10.0  # a segment of HLS comes at once, and is seconds long
_ROUNDED_S = 1e-6
_WAITED_S = 0.01  # a packet that is there already is read in a fraction of a millisecond


@dataclass(frozen=True)
class Frame:
    """An RGB frame, `time_s` after its source began."""

    image: Image.Image
    time_s: float


@dataclass(frozen=True)
class Source:
    """A video, or a live stream from when it was joined until it breaks off.

    `began` is when a video's first frame was taken, or when the stream was joined; `name` says which one it is.
    """

    address: str
    name: str
    began: datetime
    live: bool
    duration_s: float | None

    def frames(self, fps: float, enough: Event | None = None) -> Iterator[Frame]:
        """At most `fps` frames a second, a live stream's as they come, those that would come too late left out.

        `time_s` does not fall; a live stream's may run ahead of the clock by what came at once. It ends early once
        `enough` is set. Raises :class:`SourceError` when a video breaks off; with a live stream, that is its end.
        """
        try:
            yield from self._frames(fps, enough or Event())
        except SourceError as error:
            if not self.live:
                raise
            _LOG.warning("%s", error)

    def _frames(self, fps: float, enough: Event) -> Iterator[Frame]:
        """A live stream's timestamps are counted from a new origin wherever they left the clock without our doing.

        Cameras' clocks are slow or fast, servers stamp the 5 frames a second that they send as 25, a stall leaves no
        gap. A frame that had to be waited for is of now, or of the end of what came at once before it; where frames
        have piled up, none has to be waited for.
        """
        joined_s = time.monotonic()
        with _opened(self.address) as container:
            origin, since_s, due_s = None, 0.0, 0.0
            for frame, waited in _decoded(container, self.address, enough):
                now_s = time.monotonic() - joined_s if self.live else 0.0
                at_s = float(frame.time) if frame.time is not None else due_s
                if origin is None or (self.live and waited and not 0 <= at_s - origin - now_s <= _AHEAD_S):
                    origin = at_s - max(now_s, since_s)
                since_s = max(since_s, min(at_s - origin, now_s + _AHEAD_S)) if self.live else at_s - origin
                late = self.live and now_s - since_s > _LATE_S
                over_s = since_s + _ROUNDED_S - due_s
                if over_s < 0 or late:
                    continue
                due_s += (1 + over_s // (1 / fps)) / fps
                yield Frame(frame.to_image(), since_s)  # type: ignore[no-untyped-call] # PyAV types half of itself


@dataclass(frozen=True)
class Stream:
    """What has no end: a live source each time that it is joined."""

    address: str

    def __iter__(self) -> Iterator[Source]:
        which = hashlib.sha256(_shown(self.address).encode()).hexdigest()[:8]
        while True:
            joined = datetime.now(UTC)
            yield Source(self.address, f"live-{which}-{joined:%Y%m%dT%H%M%SZ}", joined, live=True, duration_s=None)


def sources_of(given: str, began: datetime | None) -> Sequence[Source] | Stream:
    """The sources that an operator names: a video, a folder of videos (by name), or the address of either or a stream.

    A video began at `began`, or its length before it was last written to, as recorders leave it. Raises
    :class:`SourceError` for what is not there, holds no video, or says neither when it began nor how long it is.
    """
    if given.startswith(_REMOTE):
        return _remote(given, began)
    path = Path(given)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in VIDEO_SUFFIXES and file.is_file())
        if not files:
            raise SourceError(f"{path}: expected videos ({', '.join(VIDEO_SUFFIXES)}), got none")
        if began is not None and len(files) > 1:
            raise SourceError(f"{path}: expected one video for one beginning, got {len(files)} videos")
        return [_file(file, began) for file in files]
    if not path.is_file():
        raise SourceError(f"expected a video, a folder or a stream ({', '.join(_REMOTE)}…), got {given!r}")
    return [_file(path, began)]


def _remote(address: str, began: datetime | None) -> Sequence[Source] | Stream:
    """A video where it says how long it is, else a stream."""
    with _opened(address) as container:
        duration_s = _duration_s(container)
    if duration_s is None and began is None:
        return Stream(address)
    if began is None:
        raise SourceError(f"{_shown(address)}: expected when it began (--began), got a video of {duration_s:.0f} s")
    name = hashlib.sha256(f"{_shown(address)} {began.isoformat()}".encode()).hexdigest()[:12]
    return [Source(address, f"video-{name}", began, live=False, duration_s=duration_s)]


def _file(path: Path, began: datetime | None) -> Source:
    with _opened(str(path)) as container:
        duration_s = _duration_s(container)
    with path.open("rb") as file:
        head = hashlib.sha256(file.read(_HEAD_BYTES))
    status = path.stat()
    head.update(str(status.st_size).encode())
    if began is None:
        if duration_s is None:
            raise SourceError(f"{path}: expected when it began (--began), got a video that does not say how long it is")
        began = datetime.fromtimestamp(status.st_mtime, UTC) - timedelta(seconds=duration_s)
    return Source(str(path), f"{path.stem[:40]}-{head.hexdigest()[:12]}", began, live=False, duration_s=duration_s)


def _duration_s(container: InputContainer) -> float | None:
    return None if container.duration is None else container.duration / av.time_base


def _opened(address: str) -> InputContainer:
    options = {"rtsp_transport": "tcp"} if address.startswith("rtsp") else {}
    try:
        container = av.open(address, options=options, timeout=(_OPEN_S, _READ_S))
    except (av.error.FFmpegError, OSError) as error:
        raise SourceError(f"{_shown(address)}: expected a video, got: {error.strerror or error}") from error
    if not container.streams.video:
        container.close()
        raise SourceError(f"{_shown(address)}: expected a video, got no pictures")
    container.streams.video[0].thread_type = "AUTO"
    return container


def _decoded(container: InputContainer, address: str, enough: Event) -> Iterator[tuple[av.VideoFrame, bool]]:
    """Each frame, and whether it had to be waited for, until it is enough."""
    try:
        asked_s = time.monotonic()
        for packet in container.demux(video=0):
            waited = time.monotonic() - asked_s > _WAITED_S
            if enough.is_set():
                return
            for frame in packet.decode():
                yield frame, waited
            asked_s = time.monotonic()
    except (av.error.FFmpegError, OSError) as error:
        raise SourceError(f"{_shown(address)}: broke off: {error.strerror or error}") from error


def _shown(address: str) -> str:
    """An address without the name and password in it."""
    scheme, there, rest = address.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if there else address
