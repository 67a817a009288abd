"""`reid-service ingest` against a real service, with a detector whose answer is known."""

import io
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, islice, pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from typer.testing import CliRunner

from reid.errors import SourceError
from service import client
from service.child import COMMAND
from service.cli import app
from service.client import Client
from service.ingest.command import _taken_at
from service.ingest.frames import Frame, Source, sources_of
from service.ingest.tracklets import BestCrop, Tracklet
from tests.clips.corpus import clip, sound
from tests.detection.conftest import Rows, write_detector
from tests.service.gallery.conftest import DEADLINE_S, wait_until

PERSON = (0.0, 1.0, 0.9, 0.25, 0.1, 0.6, 0.9)
BEGAN = "2026-03-01T12:00:00"


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "door.mp4"
    path.write_bytes(clip(frames=30, rate=10, size=(96, 64)))
    return path


@pytest.fixture
def ingest(service, tmp_path: Path) -> Callable[..., str]:
    """Run the command; what it printed."""

    def run(source: Path | str, *arguments: str, rows: Rows = [PERSON], code: int = 0) -> str:  # noqa: B006 - not changed
        detector = write_detector(tmp_path / "detector.onnx", rows)
        key = service.client.headers["X-API-Key"]
        given = ["--camera", "door", "--detector", str(detector), "--url", str(service.client.base_url), "--key", key]
        result = CliRunner().invoke(app, ["ingest", str(source), *given, *arguments])
        assert result.exit_code == code, result.output
        return result.output

    return run


def test_a_person_in_a_video_becomes_one_tracklet_of_a_few_crops(service, ingest, video, tmp_path) -> None:
    said = ingest(video, "--began", BEGAN, "--crops", "3", "--sheet", str(tmp_path / "sheet.jpg"))
    assert "3 sightings enrolled on camera door" in said
    sightings = service.get("/v1/sightings")["sightings"]
    assert {(one["camera_id"], one["person_id"]) for one in sightings} == {("door", None)}
    (tracklet,) = {one["tracklet_id"] for one in sightings}
    assert re.fullmatch(r"door-[0-9a-f]{12}-0", tracklet)
    times = sorted(datetime.fromisoformat(one["captured_at"]) for one in sightings)
    began = datetime.fromisoformat(BEGAN).replace(tzinfo=UTC)
    assert began <= times[0] < times[-1] <= began + timedelta(seconds=3)
    assert all(later - earlier >= timedelta(seconds=0.5) for earlier, later in pairwise(times))
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        assert sheet.size == (130 + 3 * 80, 160)


def test_a_video_that_does_not_say_how_long_it_is_must_be_told_when_it_began(ingest, service, tmp_path) -> None:
    pictures = io.BytesIO()
    for grey in range(0, 250, 10):
        Image.new("RGB", (96, 64), (grey, grey, grey)).save(pictures, "JPEG")
    endless = tmp_path / "recording.mjpeg"
    endless.write_bytes(pictures.getvalue())
    with pytest.raises(
        SourceError, match=r"expected when it began \(--began\), got a video that does not say how long"
    ):
        sources_of(str(endless), None)
    ingest(endless, "--began", BEGAN)
    assert service.get("/v1/sightings")["sightings"][0]["captured_at"].startswith(BEGAN[:10])


def test_the_same_command_again_enrols_nothing_twice(service, ingest, video) -> None:
    ingest(video)
    before = service.get("/v1/sightings")["sightings"]
    ingest(video)
    assert service.get("/v1/sightings")["sightings"] == before


def test_a_tracklet_is_searched_for_by_its_id(service, ingest, video) -> None:
    ingest(video)
    tracklet = service.get("/v1/sightings")["sightings"][0]["tracklet_id"]
    with Client(str(service.client.base_url), service.client.headers["X-API-Key"]) as reid:
        (result,) = reid.send(client.search(queries=[{"tracklet_id": tracklet}])).results
    assert result.searched == 0  # nobody else was seen


def test_a_box_that_no_second_frame_confirms_is_nobody(service, ingest, tmp_path) -> None:
    path = tmp_path / "short.mp4"
    path.write_bytes(clip(frames=2, size=(96, 64)))
    assert "0 sightings enrolled" in ingest(path)
    assert service.get("/v1/sightings")["sightings"] == []


def test_a_folder_is_read_video_by_video(service, ingest, video) -> None:
    (video.parent / "more").mkdir()
    (video.parent / "more" / "yard.mkv").write_bytes(clip(frames=20, size=(96, 64), container="matroska"))
    ingest(video.parent)
    names = {one["tracklet_id"].split("-")[0] for one in service.get("/v1/sightings")["sightings"]}
    assert names == {"door", "yard"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nothing.mp4", None, "expected a video, a folder or a stream"),
        ("text.mp4", b"no video at all", "expected a video, got"),
        ("sound.mkv", sound(), "expected a video, got no pictures"),
    ],
)
def test_what_is_no_video_is_refused_in_one_line(ingest, tmp_path, name, content, message) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert message in ingest(tmp_path / name, code=2)


def test_a_folder_without_videos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="expected videos"):
        sources_of(str(tmp_path), None)


@contextmanager
def serving(content: bytes, *, with_length: bool) -> Iterator[str]:
    """The address of a video: with its length it is a file to seek in, without it is a stream that then breaks off."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            if with_length:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(ConnectionError):
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with answering(Handler) as address:
        yield address


@contextmanager
def answering(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://admin:secret@127.0.0.1:{server.server_port}/yard"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Camera:
    """Multipart JPEG: some black pictures at once, then a white one each `every_s`, for ever.

    FFmpeg stamps them 0.04 s apart, whenever they come.
    """

    def __init__(self, every_s: float, at_once: int = 0) -> None:
        self.every_s, self.at_once = every_s, at_once
        self.sent = 0  # white ones, to whom came last
        self._over = threading.Event()

    @contextmanager
    def address(self) -> Iterator[str]:
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
                self.end_headers()
                with suppress(ConnectionError):
                    self.wfile.write(part("black") * camera.at_once)
                    for camera.sent in count(1):
                        self.wfile.write(part("white"))
                        if camera._over.wait(camera.every_s):
                            break

            def log_message(self, *_: object) -> None:
                pass

        with answering(Handler) as address:
            try:
                yield address
            finally:
                self._over.set()


def part(colour: str) -> bytes:
    picture = io.BytesIO()
    Image.new("RGB", (96, 64), colour).save(picture, "JPEG")
    head = b"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % picture.tell()
    return head + picture.getvalue() + b"\r\n"


def joined(address: str) -> Source:
    return next(iter(sources_of(address, None)))


def test_a_stream_goes_on_though_its_timestamps_stay_behind(monkeypatch) -> None:
    monkeypatch.setattr("service.ingest.frames._LATE_S", 0.2)
    with ThreadPoolExecutor(1) as reader, Camera(0.1).address() as address:
        times = [frame.time_s for frame in reader.submit(list, islice(joined(address).frames(60), 15)).result(30)]
    assert times == sorted(times)
    assert times[-1] - times[0] > 15 * 0.04  # the time that went by, not what they are stamped with


def test_a_stream_goes_on_after_much_that_came_at_once() -> None:
    with ThreadPoolExecutor(1) as reader, Camera(0.1, at_once=1000).address() as address:
        white = (frame for frame in joined(address).frames(5) if frame.image.getpixel((50, 50)) > (127, 127, 127))
        times = [frame.time_s for frame in reader.submit(list, islice(white, 3)).result(30)]
    assert times == sorted(times)
    assert times[-1] < 1000 * 0.04


def test_what_piled_up_while_somebody_was_busy_is_left_out(monkeypatch) -> None:
    now_s = 0.0
    monkeypatch.setattr("service.ingest.frames.time", SimpleNamespace(monotonic=lambda: now_s))
    with serving(clip(frames=30, rate=10, size=(96, 64), container="mpegts"), with_length=False) as address:
        frames = joined(address).frames(10)
        next(frames)
        now_s = 100.0
        assert list(frames) == []


def test_frames_that_come_at_once_keep_their_distances() -> None:
    """A tracker goes by them: somebody who walks through a burst does not jump."""
    with serving(clip(frames=30, rate=10, size=(96, 64), container="mpegts"), with_length=False) as address:
        times = [frame.time_s for frame in joined(address).frames(10)]
    assert times == sorted(times)
    assert times[-1] - times[0] > 1


def test_what_is_enrolled_from_a_stream_is_of_no_time_to_come() -> None:
    began = datetime.now(UTC)
    assert began <= _taken_at(Source("", "live", began, True, None), 100) <= datetime.now(UTC)
    assert _taken_at(Source("", "video", began, False, 200), 100) == began + timedelta(seconds=100)


def test_a_stream_ends_when_it_is_enough_though_no_frame_is_due() -> None:
    with ThreadPoolExecutor(1) as reader, Camera(0.1).address() as address:
        enough = threading.Event()
        frames = joined(address).frames(0.001, enough)
        next(frames)
        enough.set()
        assert reader.submit(list, frames).result(30) == []


def test_a_stream_whose_timestamps_stay_behind_ends_at_ctrl_c(service, tmp_path) -> None:
    detector, camera = write_detector(tmp_path / "detector.onnx", [PERSON]), Camera(0.2)
    with camera.address() as address:
        given = ["--camera", "yard", "--detector", str(detector)]
        asked = ["--url", str(service.client.base_url), "--key", service.client.headers["X-API-Key"]]
        with subprocess.Popen(
            [*COMMAND, "ingest", address, *given, *asked], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                wait_until(lambda: camera.sent >= 20)
                process.send_signal(signal.SIGINT)
                said, _ = process.communicate(timeout=DEADLINE_S)
            finally:
                process.kill()
    assert process.returncode == 0, said
    assert "sightings enrolled on camera yard" in said


def test_a_stream_that_breaks_off_is_joined_again_until_it_is_enough(service, tmp_path) -> None:
    detector = write_detector(tmp_path / "detector.onnx", [PERSON])
    sheet, began = tmp_path / "sheet.jpg", datetime.now(UTC)
    with serving(clip(frames=30, rate=10, size=(96, 64), container="mpegts"), with_length=False) as address:
        given = ["--camera", "yard", "--detector", str(detector), "--sheet", str(sheet)]
        asked = ["--url", str(service.client.base_url), "--key", service.client.headers["X-API-Key"]]
        with subprocess.Popen(
            [*COMMAND, "ingest", address, *given, *asked], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:

            def seen() -> set[str]:
                return {one["tracklet_id"] for one in service.get("/v1/sightings")["sightings"]}

            wait_until(lambda: len(seen()) >= 2)
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, said
    assert "sightings enrolled on camera yard" in said
    assert "secret" not in said
    with Image.open(sheet) as drawn:
        assert drawn.size[1] == 160 * len(seen())
    assert all(re.fullmatch(r"live-[0-9a-f]{8}-\d{8}T\d{6}Z-0", one) for one in seen())
    times = [datetime.fromisoformat(one["captured_at"]) for one in service.get("/v1/sightings")["sightings"]]
    assert began <= min(times) <= max(times) <= datetime.now(UTC)


def test_a_video_elsewhere_ends_and_must_be_told_when_it_began(service, ingest) -> None:
    with serving(clip(frames=30, rate=10, size=(96, 64), container="matroska"), with_length=True) as address:
        assert "expected when it began (--began), got a video of 3 s" in " ".join(ingest(address, code=2).split())
        ingest(address, "--began", BEGAN)
        ingest(address, "--began", BEGAN)
    times = [one["captured_at"] for one in service.get("/v1/sightings")["sightings"]]
    assert len(times) == len(set(times)) > 0
    assert {time[:10] for time in times} == {BEGAN[:10]}


def test_a_streams_password_is_not_shown() -> None:
    with pytest.raises(SourceError, match=r"^rtsp://127\.0\.0\.1:1/stream: expected a video") as refused:
        sources_of("rtsp://admin:secret@127.0.0.1:1/stream", None)
    assert "secret" not in str(refused.value)


def test_frames_are_as_many_a_second_as_asked(video: Path) -> None:
    (source,) = sources_of(str(video), None)
    times = [round(frame.time_s, 3) for frame in source.frames(2)]
    assert times == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert isinstance(next(source.frames(2)), Frame)


def test_frames_are_no_more_than_asked_where_times_are_rounded(tmp_path: Path) -> None:
    path = tmp_path / "door.mp4"
    path.write_bytes(clip(frames=100, rate=25, size=(96, 64)))
    (source,) = sources_of(str(path), None)
    assert [round(frame.time_s, 3) for frame in source.frames(5)] == [round(0.2 * number, 3) for number in range(20)]


def test_the_best_crops_are_kept_apart() -> None:
    tracklet = Tracklet(0, [])
    offered = [(0.0, 1), (0.2, 5), (0.4, 3), (1.0, 4), (2.0, 2), (3.0, 9)]
    for time_s, quality in offered:
        tracklet.offer(BestCrop(Image.new("RGB", (8, 8)), time_s, quality), most=3)
    assert [(crop.time_s, crop.quality) for crop in tracklet.crops] == [(0.2, 5), (1.0, 4), (3.0, 9)]
    assert tracklet.frames == 6
