import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from reid.clips import ClipDecoder, ClipLimits, Sampling
from reid.clips.sampling import Policy
from reid.errors import ClipError, ClipFormatError, ClipTooLargeError
from tests.clips.corpus import PLAYLISTS, clip, fuzzed, sound, turned


@pytest.fixture(scope="module")
def decoder() -> Iterator[ClipDecoder]:
    decoder = ClipDecoder(48, 64, Sampling(Policy.MIDDLE, 4))
    yield decoder
    decoder.close()


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp4", "mpeg4"), ("avi", "mjpeg"), ("matroska", "libx264"), ("webm", "libvpx-vp9"), ("mov", "mpeg4")],
)
def test_the_sampled_frames_are_the_clips_own(decoder: ClipDecoder, container: str, codec: str) -> None:
    decoded = decoder.decode(clip(container=container, codec=codec))
    assert (decoded.num_frames, decoded.frames.shape) == (12, (4, 48, 64, 3))
    assert [row.tolist() for row in decoded.rows] == [[0, 1, 2, 3]]
    brightness = decoded.frames[:, 30:, 40:].mean(axis=(1, 2, 3))
    assert brightness == pytest.approx([10 + 15 * number for number in (4, 5, 6, 7)], abs=6)
    assert decoded.spans_s[0] == pytest.approx((0.4, 0.7), abs=0.02)
    assert decoded.fps == pytest.approx(10)


def test_a_short_clip_is_looped_and_each_frame_decoded_once(decoder: ClipDecoder) -> None:
    decoded = decoder.decode(clip(frames=3))
    assert decoded.frames.shape[0] == 3
    assert decoded.rows[0].tolist() == [0, 1, 2, 0]


def test_dense_windows_say_when_they_were() -> None:
    decoder = ClipDecoder(24, 32, Sampling(Policy.DENSE, 5))
    decoded = decoder.decode(clip())
    decoder.close()
    assert [row.tolist() for row in decoded.rows] == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [7, 8, 9, 10, 11]]
    assert np.array(decoded.spans_s) == pytest.approx(np.array([(0.0, 0.4), (0.5, 0.9), (0.7, 1.1)]), abs=0.02)


def test_the_aspect_is_kept_between_black_bars() -> None:
    decoder = ClipDecoder(64, 64, Sampling(Policy.MIDDLE, 1))
    frame = decoder.decode(clip(frames=30, size=(64, 32))).frames[0]
    decoder.close()
    rows = frame.mean(axis=(1, 2))
    assert rows[:15].max() < 3
    assert rows[49:].max() < 3
    assert rows[18:46].min() > 100


@pytest.mark.parametrize(("degrees", "corner"), [(0, (0, 0)), (90, (0, 1)), (180, (1, 1)), (270, (1, 0))])
def test_a_clip_stands_upright(degrees: int, corner: tuple[int, int]) -> None:
    """The white block of the upper left corner goes where the display matrix turns it: clockwise."""
    decoder = ClipDecoder(40, 40, Sampling(Policy.MIDDLE, 1))
    frame = decoder.decode(turned(degrees)).frames[0].mean(axis=2)
    decoder.close()
    picture = frame[np.ix_(frame.max(axis=1) > 30, frame.max(axis=0) > 30)]
    halves = [[half.mean() for half in np.array_split(band, 2, axis=1)] for band in np.array_split(picture, 2)]
    assert np.unravel_index(np.argmax(halves), (2, 2)) == corner


def test_every_file_of_the_corpus_gives_frames_or_a_typed_error(decoder: ClipDecoder) -> None:
    files = dict(fuzzed())

    def kind(data: bytes) -> str:
        try:
            assert decoder.decode(data).frames.shape[1:] == (48, 64, 3)
        except ClipError:
            return "error"
        return "frames"

    with ThreadPoolExecutor(4) as pool:
        found = dict(zip(files, pool.map(kind, files.values()), strict=True))
    kinds = {which: [name for name in files if found[name] == which] for which in ("frames", "error")}
    assert len(kinds["frames"]) + len(kinds["error"]) >= 60
    for name in ("mp4, whole", "avi, whole", "mkv, whole", "variable rate", "one frame", "turned by 90"):
        assert name in kinds["frames"]
    for name in ("mp4, cut at 0%", "sound alone", "no frames", "zeros", "noise", "an image"):
        assert name in kinds["error"]
    assert not [name for name in kinds["frames"] if name.startswith("playlist")]
    assert decoder.decode(clip()).num_frames == 12  # and it still works


@pytest.mark.parametrize("name", sorted(PLAYLISTS))
def test_a_playlist_opens_nothing(decoder: ClipDecoder, name: str) -> None:
    with pytest.raises(ClipFormatError, match="expected a clip in one of mov, mp4"):
        decoder.decode(PLAYLISTS[name])


def test_a_codec_that_is_not_accepted_is_named(decoder: ClipDecoder) -> None:
    with pytest.raises(ClipFormatError, match=r"expected a video codec of .*, got ffv1"):
        decoder.decode(clip(container="matroska", codec="ffv1"))


def test_no_video_is_said(decoder: ClipDecoder) -> None:
    with pytest.raises(ClipError, match="expected a clip with a video stream, got none"):
        decoder.decode(sound())


@pytest.mark.parametrize(
    ("limits", "kind", "message"),
    [
        (ClipLimits(max_bytes=100), ClipTooLargeError, "expected at most 100 bytes, got"),
        (ClipLimits(max_frames=5), ClipError, "expected at most 5 frames, got more"),
        (ClipLimits(max_frame_pixels=1000), ClipError, "frames of at most 1000 px|clip that decodes|clip with frames"),
        (ClipLimits(max_seconds=0.0), ClipError, "decodes within 0 s"),
        (ClipLimits(max_memory_bytes=64 << 20), ClipError, "expected a clip that decodes"),
    ],
)
def test_what_costs_too_much_is_refused(limits: ClipLimits, kind: type[ClipError], message: str) -> None:
    decoder = ClipDecoder(48, 64, Sampling(), limits)
    with pytest.raises(kind, match=message):
        decoder.decode(clip())
    decoder.close()


def test_the_parents_memory_does_not_grow(decoder: ClipDecoder) -> None:
    data = clip()
    decoder.decode(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(5):
        decoder.decode(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


def test_real_clips_of_hmdb51_decode(decoder: ClipDecoder, datasets: Path) -> None:
    clips = sorted((datasets / "hmdb51").glob("*.avi"))
    assert len(clips) == 13
    for path in clips:
        decoded = decoder.decode(path.read_bytes())
        assert decoded.num_frames > 10
        assert decoded.frames.std() > 5
