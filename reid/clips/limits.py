"""What a clip may cost."""

from dataclasses import dataclass

CONTAINERS = ("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "avi", "matroska", "webm")
"""Demuxers by FFmpeg's names. Not among them: playlists and concatenations, which would open *other local files*."""

CODECS = (
    "av1",
    "h263",
    "h264",
    "hevc",
    "libdav1d",
    "mjpeg",
    "mpeg1video",
    "mpeg2video",
    "mpeg4",
    "msmpeg4",
    "msmpeg4v2",
    "msmpeg4v3",
    "theora",
    "vp8",
    "vp9",
    "wmv1",
    "wmv2",
)


@dataclass(frozen=True)
class ClipLimits:
    """Bytes as sent; pixels of a frame, frames in all, and those that are kept; time and memory of the process."""

    max_bytes: int = 64 << 20
    max_frame_pixels: int = 8192 * 4352
    max_frames: int = 36_000
    max_sampled_frames: int = 36_000
    max_seconds: float = 30.0
    max_memory_bytes: int = 1 << 30
