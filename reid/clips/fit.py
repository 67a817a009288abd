"""A decoded frame at the size that a network takes."""

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image

Frames = NDArray[np.uint8]


def fitted(frame: VideoFrame, height_px: int, width_px: int, fit: str) -> Frames:
    """(H, W, 3): upright; `letterbox` keeps the aspect and adds black bars, `stretch` fills the whole.

    Scaled before it becomes RGB, so that an 8K frame costs little.
    """
    turned = frame.rotation % 180 != 0
    source_width, source_height = (frame.height, frame.width) if turned else (frame.width, frame.height)
    width, height = width_px, height_px
    if fit == "letterbox":
        scale = min(width_px / source_width, height_px / source_height)
        width, height = (max(1, round(side * scale)) for side in (source_width, source_height))
    before_turn = (height, width) if turned else (width, height)
    small = frame.reformat(*before_turn, format="rgb24", interpolation="BILINEAR").to_ndarray()
    upright = np.rot90(small, frame.rotation // 90 % 4)
    canvas = np.zeros((height_px, width_px, 3), np.uint8)
    top, left = (height_px - height) // 2, (width_px - width) // 2
    canvas[top : top + height, left : left + width] = upright
    return canvas


def fitted_image(image: Image.Image, height_px: int, width_px: int, fit: str) -> Frames:
    """:func:`fitted` of an RGB image, (H, W, 3)."""
    return fitted(VideoFrame.from_ndarray(np.asarray(image), format="rgb24"), height_px, width_px, fit)
