"""What an uploaded JPEG, PNG or WebP says of itself, read before anything is decoded.

Every file is also cut down to the parts that make its pixels: profiles, texts, previews and further frames
never reach a decoder, so that their bombs, their warnings and their owners' secrets do not either.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from reid.errors import ImageError, ImageFormatError

MAX_JPEG_SCANS = 100  # a progressive file has about ten; thousands of empty ones cost minutes of decoding

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class ImageHeader:
    """The facts that decide whether, and how, an image is decoded.

    format: "JPEG", "PNG" or "WEBP"; width, height: pixels as stored, before orientation; orientation: EXIF
    1…8 (1 where there is none, or a damaged one); pixel_bytes: the same file without all that is not pixels.
    """

    format: str
    width: int
    height: int
    orientation: int
    pixel_bytes: bytes


def read_header(data: bytes) -> ImageHeader:
    """Read the container of `data`; raises ImageFormatError (another format), ImageError (a damaged one)."""
    if data.startswith(b"\xff\xd8\xff"):
        return _read_jpeg(data)
    if data.startswith(_PNG_MAGIC):
        return _read_png(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _read_webp(data)
    raise ImageFormatError(f"expected a JPEG, PNG or WebP image, got {_describe(data)}")


def _describe(data: bytes) -> str:
    return f"{len(data)} bytes that begin with {data[:8]!r}" if data else "no bytes at all"


# JPEG: segments, each with a marker and a length, until the first scan.

_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_TABLES = frozenset((0xC4, 0xCC, 0xDB, 0xDD))
_JPEG_COLOURS = frozenset((0xE0, 0xEE))  # JFIF and Adobe say how the colours are stored
_JPEG_METADATA = frozenset((*range(0xE0, 0xF0), 0xFE)) - _JPEG_COLOURS
_JPEG_SCAN = 0xDA
_JPEG_END = 0xD9
# Inside a scan, FF 00 is data, FF D0…D7 counts intervals, and any other marker but the end begins a segment.
_JPEG_NEXT_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]", re.DOTALL)


def _read_jpeg(data: bytes) -> ImageHeader:
    sizes = []
    orientation = 1
    kept = [data[:2]]
    for marker, segment in _jpeg_segments(data):
        if marker == 0xE1 and segment[4:10] == b"Exif\0\0":
            orientation = _orientation(segment[10:])
        if marker in _JPEG_FRAMES:
            sizes.append(_jpeg_frame_size(segment))
        if marker not in _JPEG_METADATA:
            kept.append(segment)
    if len(sizes) != 1:
        raise ImageError(f"damaged JPEG: expected one frame header before the image data, got {len(sizes)}")
    kept[-1] = _jpeg_scans(kept[-1])
    return ImageHeader("JPEG", *sizes[0], orientation, b"".join(kept))


def _jpeg_scans(data: bytes) -> bytes:
    """`data`, from the first scan, up to the end of the image; telephones append films to it.

    Scans are counted wherever their marker stands: a decoder that resumes after damage may find one in a segment.
    """
    end = _jpeg_end(data)
    count = data.count(b"\xff\xda", 0, end)
    if count > MAX_JPEG_SCANS:
        raise ImageError(f"expected at most {MAX_JPEG_SCANS} scans in a JPEG, got {count}")
    return data[:end]


def _jpeg_end(data: bytes) -> int:
    position = 0
    while (found := _JPEG_NEXT_MARKER.search(data, position)) is not None:
        if found[0][-1] == _JPEG_END:
            return found.end()
        position = found.end() + int.from_bytes(data[found.end() : found.end() + 2])
    raise ImageError("truncated JPEG: expected an end-of-image marker, got the end of the file")


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each (marker, whole segment) after the first; the last is the scan with all that follows it."""
    position = 2
    while True:
        if data[position : position + 1] != b"\xff":
            raise ImageError(f"damaged JPEG: expected a marker at byte {position}, got {_found(data, position)}")
        while data[position + 1 : position + 2] == b"\xff":  # fill bytes are allowed before a marker
            position += 1
        header = data[position : position + 4]
        if len(header) < 4:
            raise ImageError("truncated JPEG: expected image data, got the end of the file")
        marker, length = header[1], int.from_bytes(header[2:])
        if marker == _JPEG_SCAN:
            yield marker, data[position:]
            return
        # A marker that decoders would read without a length could hide a second frame from us.
        if marker not in _JPEG_FRAMES | _JPEG_TABLES | _JPEG_COLOURS | _JPEG_METADATA:
            raise ImageError(f"damaged JPEG: expected a table or a frame, got marker {marker:#04x}")
        end = position + 2 + length
        if length < 2 or end > len(data):
            raise ImageError(f"damaged JPEG: marker {marker:#04x} claims {length} bytes, {len(data)} in all")
        yield marker, data[position:end]
        position = end


def _found(data: bytes, position: int) -> str:
    return repr(data[position : position + 1]) if position < len(data) else "the end of the file"


def _jpeg_frame_size(segment: bytes) -> tuple[int, int]:
    if len(segment) < 10:
        raise ImageError(f"damaged JPEG: expected a frame header of 10 bytes or more, got {len(segment)}")
    height, width = struct.unpack_from(">HH", segment, 5)
    return width, height


# PNG: chunks with a length and a checksum each, from IHDR to IEND.


def _read_png(data: bytes) -> ImageHeader:
    header = b""
    orientation = 1
    kept = [_PNG_MAGIC]
    for kind, payload, chunk in _png_chunks(data):
        if (kind == b"IHDR") != (not header):
            raise ImageError(f"damaged PNG: expected one header and before all else, got chunk {kind!r}")
        if kind == b"IHDR":
            header = _png_header(payload)
        elif kind == b"eXIf":
            orientation = _orientation(payload)
        elif kind in (b"acTL", b"fcTL", b"fdAT"):
            raise ImageError("expected a still image, got an animated PNG")
        # Transparency counts where it is a palette's; a single transparent colour is an ordinary colour here.
        if kind in (b"IHDR", b"PLTE", b"IDAT", b"IEND") or (kind == b"tRNS" and header[9] == 3):
            kept.append(chunk)
    if header[9] == 3 and not any(chunk[4:8] == b"PLTE" for chunk in kept):
        raise ImageError("damaged PNG: expected a palette, got none")
    width, height = struct.unpack_from(">II", header)
    return ImageHeader("PNG", width, height, orientation, b"".join(kept))


def _png_header(payload: bytes) -> bytes:
    if len(payload) != 13:
        raise ImageError(f"damaged PNG: expected an image header of 13 bytes, got {len(payload)}")
    return payload


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield (kind, payload, whole chunk) with the checksum proved, up to and with IEND."""
    position, kind = len(_PNG_MAGIC), b""
    while kind != b"IEND":
        if position + 12 > len(data):
            raise ImageError("truncated PNG: expected an IEND chunk, got the end of the file")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise ImageError(f"truncated PNG: chunk {kind!r} claims {length} bytes, {len(data)} in all")
        payload = data[position + 8 : end - 4]
        if zlib.crc32(data[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            raise ImageError(f"damaged PNG: the checksum of chunk {kind!r} at byte {position} does not match")
        yield kind, payload, data[position:end]
        position = end


# WebP: a RIFF file; simple ones hold one bitstream, extended ones say what they hold in VP8X.


def _read_webp(data: bytes) -> ImageHeader:
    chunks = dict(_webp_chunks(data))
    if b"ANIM" in chunks or b"ANMF" in chunks:
        raise ImageError("expected a still image, got an animated WebP")
    bitstream = next((kind for kind in (b"VP8 ", b"VP8L") if kind in chunks), None)
    if bitstream is None:
        raise ImageError("damaged WebP: expected image data, got none")
    width, height = _webp_size(bitstream, chunks[bitstream])
    kept = _webp_chunk(bitstream, chunks[bitstream])
    if b"ALPH" in chunks and bitstream == b"VP8 ":
        canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        kept = _webp_chunk(b"VP8X", b"\x10\0\0\0" + canvas) + _webp_chunk(b"ALPH", chunks[b"ALPH"]) + kept
    orientation = _orientation(chunks.get(b"EXIF", b"").removeprefix(b"Exif\0\0"))
    return ImageHeader("WEBP", width, height, orientation, _webp_chunk(b"RIFF", b"WEBP" + kept))


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    file_end = 8 + int.from_bytes(data[4:8], "little")
    if file_end > len(data):
        raise ImageError(f"truncated WebP: expected {file_end} bytes, got {len(data)}")
    position = 12
    while position + 8 <= file_end:
        kind, length = struct.unpack_from("<4sI", data, position)
        end = position + 8 + length
        if end > file_end:
            raise ImageError(f"truncated WebP: chunk {kind!r} claims {length} bytes, {file_end} in all")
        yield kind, data[position + 8 : end]
        position = end + length % 2


def _webp_size(kind: bytes, payload: bytes) -> tuple[int, int]:
    if kind == b"VP8 " and len(payload) >= 10 and payload[3:6] == b"\x9d\x01\x2a":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", payload, 6))
        if width and height:
            return width, height
    if kind == b"VP8L" and len(payload) >= 5 and payload[0] == 0x2F:
        bits = int.from_bytes(payload[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise ImageError(f"damaged WebP: expected the start of a {kind.decode()} picture, got {payload[:10]!r}")


def _webp_chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(payload)) + payload + b"\0" * (len(payload) % 2)


# EXIF: a small TIFF file of which one number matters.


def _orientation(exif: bytes) -> int:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None or len(exif) < 8:
        return 1
    (directory,) = struct.unpack_from(f"{order}I", exif, 4)
    if directory + 2 > len(exif):
        return 1
    (count,) = struct.unpack_from(f"{order}H", exif, directory)
    for entry in range(directory + 2, min(directory + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, entry)
        if tag == _ORIENTATION_TAG:
            return value if kind == 3 and 1 <= value <= 8 else 1
    return 1
