"""Clips made by PyAV for the tests: good ones, and the ways in which a clip can be bad."""

import io
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction

import av
import numpy as np


def clip(
    *,
    codec: str = "mpeg4",
    container: str = "mp4",
    frames: int = 12,
    size: tuple[int, int] = (64, 48),
    rate: int = 10,
    times: Callable[[int], int] | None = None,
    options: dict[str, str] | None = None,
) -> bytes:
    """A clip (width, height) whose frame k is grey of 10 + 15 k, with a white block in its upper left corner."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.time_base = Fraction(1, rate)
        for number in range(frames):
            pixels = np.full((size[1], size[0], 3), min(255, 10 + 15 * number), np.uint8)
            pixels[: size[1] // 4, : size[0] // 4] = 255
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = times(number) if times else number
            frame.time_base = Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return file.getvalue()


def sound() -> bytes:
    """A container with sound alone."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream("pcm_s16le", rate=8000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return file.getvalue()


def turned(degrees: int) -> bytes:
    """An MP4 whose track header says to turn it, as telephones write it: the nine numbers of its display matrix."""
    data = bytearray(clip())
    place = data.find(b"tkhd") + 4 + 40
    one, none = 1 << 16, 0
    cosine, sine = {0: (one, none), 90: (none, one), 180: (-one, none), 270: (none, -one)}[degrees]
    struct.pack_into(">9i", data, place, cosine, sine, 0, -sine, cosine, 0, 0, 0, 1 << 30)
    return bytes(data)


PLAYLISTS = {
    "hls": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "concat": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "dash": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>file:///etc/</BaseURL></MPD>',
    "image list": b"/etc/passwd\n/etc/hostname\n",
}


def fuzzed() -> Iterator[tuple[str, bytes]]:
    """More than sixty files, most of them bad, by name."""
    good = {"mp4": clip(), "avi": clip(container="avi", codec="mjpeg"), "mkv": clip(container="matroska")}
    for kind, data in good.items():
        yield f"{kind}, whole", data
        for share in (0.0, 0.01, 0.1, 0.5, 0.9, 0.99):
            yield f"{kind}, cut at {share:.0%}", data[: int(len(data) * share)]
        for seed in range(9):
            generator = np.random.default_rng(seed)
            flipped = bytearray(data)
            for place in generator.integers(0, len(data), 1 + seed * 3):
                flipped[place] ^= 1 << int(generator.integers(8))
            yield f"{kind}, {1 + seed * 3} bits flipped", bytes(flipped)
    for kind, data in PLAYLISTS.items():
        yield f"playlist: {kind}", data
    yield "sound alone", sound()
    yield "no frames", clip(frames=0)
    yield "variable rate", clip(times=lambda number: number * number)
    yield "one frame", clip(frames=1)
    yield "zeros", bytes(4096)
    yield "noise", np.random.default_rng(0).bytes(4096)
    yield "an image", b"\x89PNG\r\n\x1a\n" + bytes(100)
    for degrees in (90, 180, 270):
        yield f"turned by {degrees}", turned(degrees)
