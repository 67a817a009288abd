"""What the parent process asks of a decoding one. Apart, so that the parent need not load a decoder."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """What the parent asks for. Frames are fitted to `height_px` × `width_px`."""

    num_bytes: int
    height_px: int
    width_px: int
    policy: str
    num_frames: int
    rate_hz: float
    fit: str
    max_frame_pixels: int
    max_frames: int
    max_sampled_frames: int
    max_cpu_seconds: int
    max_memory_bytes: int
