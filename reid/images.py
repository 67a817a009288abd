"""Untrusted bytes → RGB pixels within limits, or refused; crops cut, kept and shown."""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from reid.errors import BoxError, ImageError, ImageTooLargeError
from reid.image_formats import ImageHeader, read_header

_PILLOW_MAX_PIXELS = 89_478_485  # above this Pillow itself would warn, and later refuse

# Pillow's classes by name, not Image.open: that would try other formats too, and warn of what we refuse.
_DECODERS: dict[str, Callable[[io.BytesIO], ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
}

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class ImageLimits:
    """What an uploaded image may cost: bytes as sent; pixels and sides as decoded."""

    max_bytes: int = 10 * 2**20
    max_pixels: int = 40_000_000
    min_side_px: int = 8
    max_side_px: int = 16_384

    def __post_init__(self) -> None:
        """Refuse limits that contradict each other or Pillow's own."""
        if not 1 <= self.min_side_px <= self.max_side_px:
            raise ValueError(f"expected 1 ≤ min_side_px ≤ max_side_px, got {self.min_side_px}, {self.max_side_px}")
        if not 1 <= self.max_pixels <= _PILLOW_MAX_PIXELS:
            raise ValueError(f"expected max_pixels in 1…{_PILLOW_MAX_PIXELS}, got {self.max_pixels}")


DEFAULT_LIMITS = ImageLimits()


def decode_image(data: bytes, limits: ImageLimits = DEFAULT_LIMITS) -> Image.Image:
    """Decode an untrusted JPEG, PNG or WebP to an upright RGB image without metadata.

    The limits are checked against the header before a pixel is decoded. Animations are refused. EXIF
    orientation is applied; colour profiles are not. Transparency is laid on black; 16-bit samples keep their
    high byte. A file that is whole but whose data stop early decodes with the rest grey or black.

    Raises ImageTooLargeError (bytes), ImageFormatError (another format) and ImageError (damaged, or its size
    in pixels outside the limits).
    """
    return _upright(_checked_header(data, limits))


def count_pixels(data: bytes, limits: ImageLimits = DEFAULT_LIMITS) -> int:
    """How many pixels :func:`decode_image` would make, read from the header alone; raises as it does."""
    header = _checked_header(data, limits)
    return header.width * header.height


def decode_kept(data: bytes) -> Image.Image:
    """Decode what :func:`encode_crop` made. A small file may have grown large by it: bytes are not limited.

    Raises ImageError for a crop with sides too small to use.
    """
    header = read_header(data)
    _check_size(header, DEFAULT_LIMITS)
    return _upright(header)


def crop_box(image: Image.Image, box_xyxy: Sequence[float]) -> Image.Image:
    """Cut `box_xyxy` (left, top, right, bottom in pixels) out of `image`, its edges rounded to whole pixels.

    Raises BoxError unless the rounded box lies inside the image and holds a pixel.
    """
    expected = f"expected left < right and top < bottom inside {image.width}×{image.height} pixels"
    if len(box_xyxy) != 4:
        raise BoxError(f"expected 4 numbers (left, top, right, bottom), got {len(box_xyxy)}")
    # Compared before rounding: infinity cannot be rounded, and nothing is less or more than NaN.
    if not all(-1 < edge < max(image.size) + 1 for edge in box_xyxy):
        raise BoxError(f"{expected}, got {_describe(box_xyxy)}")
    left, top, right, bottom = (math.floor(edge + 0.5) for edge in box_xyxy)
    if not (0 <= left < right <= image.width and 0 <= top < bottom <= image.height):
        raise BoxError(f"{expected}, got {_describe(box_xyxy)}")
    return image.crop((left, top, right, bottom))


def encode_crop(image: Image.Image) -> bytes:
    """Encode an RGB image as it is kept: JPEG, quality 95, full colour resolution, no metadata.

    The same pixels give the same bytes with the same Pillow.
    """
    return _encode_jpeg(image, quality=95)


def encode_thumbnail(image: Image.Image, max_side_px: int = 160) -> bytes:
    """Encode an RGB image for a list or a page: JPEG, sides at most `max_side_px`, never enlarged."""
    small = image.copy()
    small.thumbnail((max_side_px, max_side_px), Image.Resampling.LANCZOS)
    return _encode_jpeg(small, quality=85)


def _checked_header(data: bytes, limits: ImageLimits) -> ImageHeader:
    if len(data) > limits.max_bytes:
        raise ImageTooLargeError(f"expected at most {limits.max_bytes} bytes, got {len(data)}")
    header = read_header(data)
    _check_size(header, limits)
    return header


def _upright(header: ImageHeader) -> Image.Image:
    rgb = _to_rgb(_decode(header))
    return rgb.transpose(_UPRIGHT[header.orientation]) if header.orientation in _UPRIGHT else rgb


def _check_size(header: ImageHeader, limits: ImageLimits) -> None:
    width, height = header.width, header.height
    got = f"got {width}×{height}"
    if min(width, height) < limits.min_side_px:
        raise ImageError(f"expected sides of at least {limits.min_side_px} pixels, {got}")
    if max(width, height) > limits.max_side_px:
        raise ImageError(f"expected sides of at most {limits.max_side_px} pixels, {got}")
    if width * height > limits.max_pixels:
        raise ImageError(f"expected at most {limits.max_pixels} pixels, {got} = {width * height}")


def _decode(header: ImageHeader) -> Image.Image:
    try:
        image = _DECODERS[header.format](io.BytesIO(header.pixel_bytes))
        assert image.size == (header.width, header.height), "the size that was checked is the one decoded"
        image.load()
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow raises for damaged files
        raise ImageError(f"damaged {header.format}: expected an image that decodes, got {error}") from error
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "I;16":
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in ("LA", "RGBA"):
        rgba = image.convert("RGBA")
        black = Image.new("RGB", image.size)
        black.paste(rgba, mask=rgba.getchannel("A"))
        return black
    rgb = image.convert("RGB")
    rgb.info = {}
    return rgb


def _encode_jpeg(image: Image.Image, quality: int) -> bytes:
    if image.mode != "RGB":
        raise ValueError(f"expected an RGB image, got mode {image.mode}")
    pixels = image.copy()
    pixels.info = {}  # Pillow would write a comment it finds here
    buffer = io.BytesIO()
    pixels.save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def _describe(box_xyxy: Sequence[float]) -> str:
    return "(" + ", ".join(f"{edge:.6g}" if isinstance(edge, float) else str(edge)[:20] for edge in box_xyxy) + ")"
