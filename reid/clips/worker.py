"""The decoding process: a request and a clip on stdin, frames on stdout. It imports neither torch nor anything large.

Protocol: one line of JSON, the fields of :class:`~reid.clips.request.Request`, then the clip's bytes. Answer: one line
of JSON, either `{"error": class name, "message": …}` or `{"num_frames", "fps", "codec", "times_s", "shape"}` followed
by that many raw RGB bytes. Run as ``python -m reid.clips.worker``.
"""

import io
import json
import resource
import sys
from typing import Any

import av
import av.error
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from reid.clips.fit import fitted
from reid.clips.limits import CODECS, CONTAINERS
from reid.clips.request import Request
from reid.clips.sampling import Policy, Sampling, windows_of
from reid.errors import ClipError, ClipFormatError

Frames = NDArray[np.uint8]


def main() -> None:
    """Serve one request and end."""
    sys.stdout.flush()
    line = sys.stdin.buffer.readline()
    if not line:  # a spare that was never needed
        return
    request = Request(**json.loads(line))
    resource.setrlimit(resource.RLIMIT_AS, (request.max_memory_bytes, request.max_memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (request.max_cpu_seconds, request.max_cpu_seconds))
    resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
    try:
        answer, frames = decode(sys.stdin.buffer.read(request.num_bytes), request)
    except ClipError as error:
        answer, frames = {"error": type(error).__name__, "message": str(error)}, None
    except MemoryError:
        answer, frames = {"error": "ClipError", "message": "expected a clip that decodes within the memory limit"}, None
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    if frames is not None:
        sys.stdout.buffer.write(frames.data)
    sys.stdout.buffer.flush()


def decode(data: bytes, request: Request) -> tuple[dict[str, Any], Frames]:
    """What the clip is, and its sampled frames (F, H, W, 3) uint8, every one once and in order.

    Raises :class:`ClipFormatError` for a container or codec that is not accepted, :class:`ClipError` otherwise.
    """
    num_frames, fps = 0, 0.0
    for stream, _ in _frames(data, request):
        num_frames, fps = num_frames + 1, float(stream.average_rate or 0)
    if num_frames == 0:
        raise ClipError("expected a clip with frames, got none that decode")
    sampling = Sampling(Policy(request.policy), request.num_frames, request.rate_hz)
    chosen = {frame for window in windows_of(sampling, num_frames, fps) for frame in window.frames}
    if len(chosen) > request.max_sampled_frames:
        raise ClipError(f"expected at most {request.max_sampled_frames} frames to look at, got {len(chosen)}")
    pixels = np.empty((len(chosen), request.height_px, request.width_px, 3), np.uint8)
    times, row, codec = [], 0, ""
    for number, (stream, frame) in enumerate(_frames(data, request)):
        if number in chosen:
            codec = stream.codec_context.name
            pixels[row] = fitted(frame, request.height_px, request.width_px, request.fit)
            times.append(float(frame.time) if frame.time is not None else number / (fps or 25.0))
            row += 1
    if row < len(chosen):
        raise ClipError(f"expected the same {num_frames} frames at each reading, got fewer")
    return {"num_frames": num_frames, "fps": fps, "codec": codec, "times_s": times, "shape": pixels.shape}, pixels


def _frames(data: bytes, request: Request) -> Any:
    """Yield (stream, frame) of the first video stream, until the end or the first damage after some frames."""
    try:
        container = av.open(
            io.BytesIO(data), "r", metadata_errors="replace", options={"format_whitelist": ",".join(CONTAINERS)}
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise ClipFormatError(f"expected a clip in one of {', '.join(CONTAINERS)}: {_reason(error)}") from error
    with container:
        stream = _video_stream(container, request)
        count = 0
        try:
            for frame in container.decode(stream):
                _check_frame(frame, request)
                count += 1
                if count > request.max_frames:
                    raise ClipError(f"expected at most {request.max_frames} frames, got more")
                yield stream, frame
        except av.error.FFmpegError as error:
            raise ClipError(
                f"expected a clip that decodes, got damage after {count} frames: {_reason(error)}"
            ) from error


def _video_stream(container: Any, request: Request) -> VideoStream:
    if not container.streams.video:
        raise ClipError("expected a clip with a video stream, got none")
    stream: VideoStream = container.streams.video[0]
    name = stream.codec_context.name
    if name not in CODECS:
        raise ClipFormatError(f"expected a video codec of {', '.join(CODECS)}, got {name}")
    stream.codec_context.options = {"max_pixels": str(request.max_frame_pixels)}
    stream.codec_context.thread_count = 1
    return stream


def _check_frame(frame: VideoFrame, request: Request) -> None:
    if frame.width * frame.height > request.max_frame_pixels:
        raise ClipError(f"expected frames of at most {request.max_frame_pixels} px, got {frame.width} × {frame.height}")


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


if __name__ == "__main__":
    main()
