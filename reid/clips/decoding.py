"""The parent's side of decoding: one process a clip, a spare one started ahead, a deadline."""

import json
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from reid.clips.limits import ClipLimits
from reid.clips.request import Request
from reid.clips.sampling import Sampling, Window, windows_of
from reid.errors import ClipError, ClipFormatError, ClipTooLargeError

_ERRORS = {error.__name__: error for error in (ClipError, ClipFormatError)}


@dataclass(frozen=True)
class Clip:
    """What was decoded.

    `frames` (F, H, W, 3) uint8 holds each sampled frame once; for each window `rows` says which of them the network
    sees in which order (T,), and `spans_s` from when to when it reaches, in seconds.
    """

    frames: NDArray[np.uint8]
    rows: tuple[NDArray[np.int64], ...]
    spans_s: tuple[tuple[float, float], ...]
    num_frames: int
    fps: float
    codec: str


class ClipDecoder:
    """Decodes clips at one size with one sampling. Thread-safe; at most as many processes as callers, and a spare."""

    def __init__(
        self,
        height_px: int,
        width_px: int,
        sampling: Sampling,
        limits: ClipLimits | None = None,
        fit: str = "letterbox",
    ) -> None:
        self.fit = fit
        self.height_px, self.width_px, self.sampling = height_px, width_px, sampling
        self.limits = limits or ClipLimits()
        self._lock = threading.Lock()
        self._spare: subprocess.Popen[bytes] | None = None
        self._closed = False

    def decode(self, data: bytes, sampling: Sampling | None = None) -> Clip:
        """Bytes of a clip → its sampled frames; another `sampling` may be asked for than the decoder's own.

        Raises :class:`ClipTooLargeError` for too many bytes, :class:`ClipFormatError` for a container or codec that is
        not accepted, :class:`ClipError` for whatever else is wrong with it, a crash of the decoder included.
        """
        if len(data) > self.limits.max_bytes:
            raise ClipTooLargeError(f"expected at most {self.limits.max_bytes} bytes, got {len(data)}")
        sampling = sampling or self.sampling
        with self._take() as process:
            try:
                out, _ = process.communicate(self._head(data, sampling) + data, timeout=self.limits.max_seconds)
            except subprocess.TimeoutExpired as error:
                raise ClipError(f"expected a clip that decodes within {self.limits.max_seconds:g} s") from error
            finally:
                process.kill()  # nothing to one that has ended
        return self._read(out, process.returncode, sampling)

    def close(self) -> None:
        """End the spare process."""
        with self._lock:
            self._closed = True
            spare, self._spare = self._spare, None
        if spare is not None:
            spare.communicate(b"")

    def _take(self) -> subprocess.Popen[bytes]:
        """The spare process, which has its imports behind it, and another one started in its place."""
        with self._lock:
            process, self._spare = self._spare or _start(), None if self._closed else _start()
        return process

    def _head(self, data: bytes, sampling: Sampling) -> bytes:
        limits = self.limits
        request = Request(
            num_bytes=len(data),
            height_px=self.height_px,
            width_px=self.width_px,
            policy=sampling.policy.value,
            num_frames=sampling.num_frames,
            rate_hz=sampling.rate_hz,
            fit=self.fit,
            max_frame_pixels=limits.max_frame_pixels,
            max_frames=limits.max_frames,
            max_sampled_frames=limits.max_sampled_frames,
            max_cpu_seconds=int(limits.max_seconds) + 1,
            max_memory_bytes=limits.max_memory_bytes,
        )
        return json.dumps(asdict(request)).encode() + b"\n"

    def _read(self, out: bytes, status: int, sampling: Sampling) -> Clip:
        line, _, pixels = out.partition(b"\n")
        if not line:
            raise ClipError(f"expected a clip that decodes, but the decoder ended with status {status}")
        answer = json.loads(line)
        if "error" in answer:
            raise _ERRORS[answer["error"]](answer["message"])
        if len(pixels) != np.prod(answer["shape"]):
            raise ClipError(f"expected a clip that decodes, but the decoder ended midway with status {status}")
        windows = windows_of(sampling, answer["num_frames"], answer["fps"])
        place = {number: row for row, number in enumerate(sorted({n for window in windows for n in window.frames}))}
        times = answer["times_s"]
        return Clip(
            frames=np.frombuffer(pixels, np.uint8).reshape(answer["shape"]),
            rows=tuple(np.array([place[number] for number in window.frames]) for window in windows),
            spans_s=tuple(_span(window, place, times) for window in windows),
            num_frames=answer["num_frames"],
            fps=answer["fps"],
            codec=answer["codec"],
        )


def _span(window: Window, place: dict[int, int], times_s: list[float]) -> tuple[float, float]:
    return times_s[place[window.first]], times_s[place[window.last]]


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "reid.clips.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
