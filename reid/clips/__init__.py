"""Untrusted video → sampled RGB frames, decoded in a process that can be killed.

A damaged or hostile file can crash a decoder natively, which no `except` catches: every clip is decoded in a process of
its own, with limits on memory and processor time that the kernel keeps, and a deadline that we keep.
"""

from reid.clips.decoding import Clip, ClipDecoder
from reid.clips.limits import ClipLimits
from reid.clips.sampling import Sampling, Window, windows_of

__all__ = ["Clip", "ClipDecoder", "ClipLimits", "Sampling", "Window", "windows_of"]
