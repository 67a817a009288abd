"""Uploads made by code: hostile ones with the error they must raise, odd ones with the pixels they hold."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

from reid.errors import ImageError, ImageFormatError, ImageTooLargeError, ReidError
from reid.images import DEFAULT_LIMITS

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class MalformedUpload:
    """Bytes that must be refused with exactly this class of error."""

    name: str
    data: bytes
    error: type[ReidError]


@dataclass(frozen=True)
class UnusualUpload:
    """Valid bytes and the (H, W, 3) uint8 pixels that they hold, within `tolerance` (for lossy formats)."""

    name: str
    data: bytes
    rgb: np.ndarray
    tolerance: int = 0


def malformed_uploads() -> list[MalformedUpload]:
    """Every hostile upload; names are distinct."""
    return [
        *_not_an_image(),
        *_truncated(),
        *_bombs(),
        *_animated(),
        *_bad_jpegs(),
        *_bad_pngs(),
        *_bad_webps(),
    ]


def unusual_uploads() -> list[UnusualUpload]:
    """Every odd but valid upload; names are distinct."""
    return [*_odd_jpegs(), *_odd_pngs(), *_odd_webps(), *_orientations()]


def picture(width: int = 48, height: int = 64) -> Image.Image:
    """A smooth RGB picture without symmetry, so that every turn of it differs and JPEG keeps it well."""
    x = np.linspace(0, 1, width)[None, :]
    y = np.linspace(0, 1, height)[:, None]
    channels = (220 * x + 0 * y, 180 * y + 30 * x, 200 * (1 - y) * (1 - x))
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    """The image in a format of Pillow's."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, payload: bytes) -> bytes:
    """One PNG chunk with its right checksum."""
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png(width: int, height: int, rows: bytes, *, depth: int = 8, colour: int = 0, extra: bytes = b"") -> bytes:
    """A PNG made by hand: `rows` with their filter bytes; `extra` chunks stand before the data."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = png_chunk(b"IDAT", zlib.compress(rows, 9))
    return PNG_MAGIC + png_chunk(b"IHDR", header) + extra + data + png_chunk(b"IEND", b"")


def jpeg_segment(marker: int, payload: bytes) -> bytes:
    """One JPEG segment with its length."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def exif(orientation: int, order: str = ">") -> bytes:
    """An EXIF block (without the `Exif` prefix) that says only the orientation."""
    magic = b"MM\0*" if order == ">" else b"II*\0"
    return magic + struct.pack(f"{order}IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP container with these chunks."""
    body = b"".join(struct.pack("<4sI", kind, len(data)) + data + b"\0" * (len(data) % 2) for kind, data in chunks)
    return struct.pack("<4sI4s", b"RIFF", len(body) + 4, b"WEBP") + body


def _not_an_image() -> Iterable[MalformedUpload]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("person.jpg", encoded(picture(), "JPEG"))
    fits = b"".join(
        card.ljust(80) for card in (b"SIMPLE  =                    T", b"BITPIX  =                    8", b"END")
    )
    foreign = {
        "empty": b"",
        "one byte": b"\xff",
        "zeros": bytes(4096),
        "text": b"not an image\n" * 20,
        "json": b'{"image": "person.jpg"}',
        "html": b"<!doctype html><img src=person.jpg>",
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
        "svg with entities": b'<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><svg>&b;</svg>',
        "pdf": b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF",
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 128\nshowpage\n",
        "gif": encoded(picture(), "GIF"),
        "bmp": encoded(picture(), "BMP"),
        "tiff": encoded(picture(), "TIFF"),
        "ppm": encoded(picture(), "PPM"),
        "ico": encoded(picture(), "ICO"),
        "tga": encoded(picture(), "TGA"),
        "jpeg 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(64),
        "avif header": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(64),
        "heic header": b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(64),
        "mp4 header": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(64),
        "wav in riff": b"RIFF\x24\0\0\0WAVEfmt " + bytes(28),
        "fits": fits.ljust(2880),
        "zip": archive.getvalue(),
        "gzip": b"\x1f\x8b\x08\0" + bytes(60),
        "elf": b"\x7fELF\2\1\1" + bytes(60),
        "png with a byte before it": b"\n" + encoded(picture(), "PNG"),
        "jpeg as base64": b"/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8U",
        "png after a text conversion": b"\x89PNG\n\x1a\n" + bytes(60),
    }
    for name, data in foreign.items():
        yield MalformedUpload(name, data, ImageFormatError)
    too_long = encoded(picture(), "JPEG").ljust(DEFAULT_LIMITS.max_bytes + 1, b"\0")
    yield MalformedUpload("over the byte limit", too_long, ImageTooLargeError)


def _truncated() -> Iterable[MalformedUpload]:
    whole = {
        "jpeg": encoded(picture(), "JPEG"),
        "progressive jpeg": encoded(picture(), "JPEG", progressive=True),
        "png": encoded(picture(), "PNG"),
        "webp": encoded(picture(), "WEBP"),
        "lossless webp": encoded(picture(), "WEBP", lossless=True),
    }
    for name, data in whole.items():
        for length in (16, len(data) // 4, len(data) // 2, len(data) * 9 // 10, len(data) - 2):
            yield MalformedUpload(f"{name} cut to {length} of {len(data)} bytes", data[:length], ImageError)


def _bombs() -> Iterable[MalformedUpload]:
    limits = DEFAULT_LIMITS
    side = 25_000  # 602 kB that decode to 625 million pixels
    compressor = zlib.compressobj(9)
    idat = b"".join([*(compressor.compress(bytes(side + 1)) for _ in range(side)), compressor.flush()])
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    bomb = PNG_MAGIC + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", idat) + png_chunk(b"IEND", b"")
    yield MalformedUpload("png bomb, whole", bomb, ImageError)
    yield MalformedUpload("png 2 billion pixels wide", png(2**31 - 1, 16, bytes(64)), ImageError)
    yield MalformedUpload("png size beyond its own range", png(2**32 - 1, 2**32 - 1, bytes(64)), ImageError)
    long = limits.max_side_px + 1
    yield MalformedUpload("png one pixel too wide", png(long, 8, bytes(8 * (long + 1))), ImageError)
    yield MalformedUpload("png too tall", png(8, long, bytes(9 * long)), ImageError)
    yield MalformedUpload("png too many pixels, sides allowed", png(8000, 5001, bytes(64)), ImageError)
    jpeg = _jpeg_with_size(encoded(picture(), "JPEG"), 65_535, 65_535)
    yield MalformedUpload("jpeg of 65535 × 65535 pixels", jpeg, ImageError)
    yield MalformedUpload("jpeg of 7000 × 5720 pixels", _jpeg_with_size(jpeg, 7000, 5720), ImageError)
    yield MalformedUpload("lossy webp of 16383 × 16383", riff((b"VP8 ", _vp8_header(16_383, 16_383))), ImageError)
    lossless = riff((b"VP8L", b"\x2f" + struct.pack("<I", 16_383 | 16_383 << 14) + bytes(40)))
    yield MalformedUpload("lossless webp of 16384 × 16384", lossless, ImageError)
    canvas = (b"VP8X", b"\0\0\0\0" + b"\xff\xff\xff" + b"\xff\0\0")
    huge_canvas = riff(canvas, (b"VP8 ", _vp8_header(16_383, 16_383)))
    yield MalformedUpload("webp on a huge canvas", huge_canvas, ImageError)
    scans = encoded(picture(), "JPEG", progressive=True)
    first = scans.index(b"\xff\xda")
    empty_scan = jpeg_segment(0xDA, b"\1\1\0\0\0\0")
    many = scans[:first] + empty_scan * 5000 + scans[first:]
    yield MalformedUpload("jpeg of 5000 scans", many, ImageError)


def _animated() -> Iterable[MalformedUpload]:
    frames = [picture(), picture().rotate(180), picture().transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    for name, kind in (("apng", "PNG"), ("animated webp", "WEBP")):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
        yield MalformedUpload(name, data, ImageError)
    rows = b"".join(b"\0" + bytes(8) for _ in range(8))
    one_frame = png(8, 8, rows, extra=png_chunk(b"acTL", struct.pack(">II", 1, 0)))
    yield MalformedUpload("apng that claims one frame", one_frame, ImageError)


def _bad_jpegs() -> Iterable[MalformedUpload]:
    good = encoded(picture(), "JPEG")
    scan = good.index(b"\xff\xda")
    tables = good.index(b"\xff\xc4")
    cases = {
        "jpeg start only": b"\xff\xd8\xff",
        "jpeg start and end only": b"\xff\xd8\xff\xd9",
        "jpeg of zero width": _jpeg_with_size(good, 0, 64),
        "jpeg of zero height": _jpeg_with_size(good, 48, 0),
        "jpeg of 7 × 64 pixels": encoded(picture(7, 64), "JPEG"),
        "jpeg without a scan": good[:scan] + b"\xff\xd9",
        "jpeg without a frame": good[: good.index(b"\xff\xc0")] + good[scan:],
        "jpeg without quantisation tables": good[: good.index(b"\xff\xdb")] + good[good.index(b"\xff\xc0") :],
        "jpeg with two frames": good[:scan] + jpeg_segment(0xC0, _frame_payload(good)) + good[scan:],
        "jpeg with a frame hidden behind a restart marker": good[:scan]
        + b"\xff\xd0"
        + jpeg_segment(0xC0, _frame_payload(_jpeg_with_size(good, 60_000, 60_000)))
        + good[scan:],
        "jpeg of 12-bit samples": _with_byte(good, good.index(b"\xff\xc0") + 4, 12),
        "jpeg of five components": _with_byte(good, good.index(b"\xff\xc0") + 9, 5),
        "jpeg of a kind nobody writes (lossless)": _with_byte(good, good.index(b"\xff\xc0") + 1, 0xC3),
        "jpeg with a segment of length 0": b"\xff\xd8" + b"\xff\xe0\0\0" + good[2:],
        "jpeg with a segment beyond its end": b"\xff\xd8" + b"\xff\xe1\xff\xff" + good[2:500],
        "jpeg with junk between segments": good[:tables] + b"\x12\x34" + good[tables:],
        "jpeg with a frame header of 2 bytes": good[:scan] + jpeg_segment(0xC0, b"\x08\0") + good[scan:],
        "jpeg with an overfull huffman table": _with_byte(good, tables + 5, 0xFF),
        "jpeg of fill bytes only": b"\xff\xd8" + b"\xff" * 2000,
    }
    for name, data in cases.items():
        yield MalformedUpload(name, data, ImageError)


def _bad_pngs() -> Iterable[MalformedUpload]:
    rows = b"".join(b"\0" + bytes(range(16)) for _ in range(16))
    good = png(16, 16, rows)
    idat = good.index(b"IDAT")
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 0, 0, 0, 0))
    end = png_chunk(b"IEND", b"")
    cases = {
        "png magic only": PNG_MAGIC,
        "png header only": PNG_MAGIC + header,
        "png without a header": PNG_MAGIC + good[idat - 4 :],
        "png with two headers": PNG_MAGIC + header + good[8:],
        "png with a second, smaller header after its data": good[:-12] + header + end,
        "png without data": PNG_MAGIC + header + end,
        "png with empty data": PNG_MAGIC + header + png_chunk(b"IDAT", b"") + end,
        "png with data that is not deflate": PNG_MAGIC + header + png_chunk(b"IDAT", bytes(200)) + end,
        "png with a bad header checksum": _with_byte(good, 8 + 8 + 13, good[8 + 8 + 13] ^ 1),
        "png with a bad data checksum": _with_byte(good, idat + 10, good[idat + 10] ^ 1),
        "png with a chunk longer than the file": good[: idat - 4] + b"\x7f\xff\xff\xff" + good[idat:],
        "png of zero width": png(0, 16, bytes(16)),
        "png of zero height": png(16, 0, b""),
        "png of 16 × 7 pixels": png(16, 7, rows[: 17 * 7]),
        "png of a colour type that does not exist": png(16, 16, rows, colour=5),
        "png of a depth that does not exist": png(16, 16, rows, depth=3),
        "png with a palette missing": png(16, 16, rows, colour=3),
        "png with an unknown row filter": png(16, 16, b"\x09" + rows[1:]),
        "png with a short header": PNG_MAGIC + png_chunk(b"IHDR", b"\0\0\0\x10") + good[idat - 4 :],
    }
    for name, data in cases.items():
        yield MalformedUpload(name, data, ImageError)


def _bad_webps() -> Iterable[MalformedUpload]:
    lossy = encoded(picture(), "WEBP")
    lossless = encoded(picture(), "WEBP", lossless=True)
    cases = {
        "webp magic only": b"RIFF\4\0\0\0WEBP",
        "webp without image data": riff((b"EXIF", exif(1))),
        "webp with an empty picture": riff((b"VP8 ", b"")),
        "webp with a wrong start code": lossy.replace(b"\x9d\x01\x2a", b"\x9d\x01\x2b", 1),
        "webp with a wrong lossless signature": _with_byte(lossless, 20, 0x2E),
        "webp of zero width": riff((b"VP8 ", _vp8_header(0, 64))),
        "webp of zero height with alpha": riff((b"ALPH", b"\0"), (b"VP8 ", _vp8_header(64, 0))),
        "webp of 7 × 64 pixels": encoded(picture(7, 64), "WEBP"),
        "webp header without its partitions": riff((b"VP8 ", _vp8_header(64, 64)[:10])),
        "webp with zeros for data": riff((b"VP8L", lossless[20:25] + bytes(40))),
        "webp with a chunk beyond its end": lossy[:16] + b"\xff\xff\xff\x7f" + lossy[20:],
        "webp that claims more than it has": lossy[:4] + struct.pack("<I", len(lossy)) + lossy[8:],
    }
    for name, data in cases.items():
        yield MalformedUpload(name, data, ImageError)


def _odd_jpegs() -> Iterable[UnusualUpload]:
    image = picture()
    rgb = np.asarray(image)
    grey = _grey(image)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = encoded(image, "JPEG", quality=95, subsampling=0)
    cmyk = image.convert("CMYK")
    yield UnusualUpload("progressive jpeg", encoded(image, "JPEG", quality=95, progressive=True), rgb, 12)
    yield UnusualUpload("grey jpeg", encoded(image.convert("L"), "JPEG", quality=95), grey, 6)
    yield UnusualUpload("cmyk jpeg", encoded(cmyk, "JPEG", quality=95), np.asarray(cmyk.convert("RGB")), 12)
    yield UnusualUpload("jpeg with a profile", encoded(image, "JPEG", quality=95, icc_profile=profile), rgb, 12)
    yield UnusualUpload("jpeg with a comment", encoded(image, "JPEG", quality=95, comment=b"x" * 999), rgb, 12)
    yield UnusualUpload("jpeg with bytes after its end", plain + b"trailing" * 50, rgb, 12)
    # Frames cut from a motion-JPEG stream have none: the standard's example tables are meant.
    tables, scan = plain.index(b"\xff\xc4"), plain.index(b"\xff\xda")
    yield UnusualUpload("jpeg without huffman tables", plain[:tables] + plain[scan:], rgb, 12)
    yield UnusualUpload("jpeg with fill bytes before a marker", plain[:2] + b"\xff" * 9 + plain[2:], rgb, 12)
    for name, block in _damaged_exif().items():
        segment = jpeg_segment(0xE1, b"Exif\0\0" + block)
        yield UnusualUpload(f"jpeg with {name}", plain[:2] + segment + plain[2:], rgb, 12)


def _damaged_exif() -> dict[str, bytes]:
    return {
        "exif of no bytes": b"",
        "exif that ends in its header": b"MM\0*\0\0",
        "exif that points beyond itself": b"II*\0" + struct.pack("<I", 2**31),
        "exif that claims 65535 entries": b"MM\0*\0\0\0\x08\xff\xff" + b"\x01\x0e\0\2\xff\xff\xff\xff" * 3,
        "exif of orientation 9": exif(9),
    }


def _odd_pngs() -> Iterable[UnusualUpload]:
    image = picture()
    rgb = np.asarray(image)
    ramp = np.linspace(0, 65_535, 16 * 16).astype(">u2").reshape(16, 16)
    rows16 = b"".join(b"\0" + row.tobytes() for row in ramp)
    high = (ramp >> 8).astype(np.uint8)
    colour_rows = b"".join(b"\0" + np.repeat(row, 3).tobytes() for row in ramp)
    yield UnusualUpload("png of 16-bit grey", png(16, 16, rows16, depth=16), _stacked(high))
    yield UnusualUpload("png of 16-bit colour", png(16, 16, colour_rows, depth=16, colour=2), _stacked(high))
    bits = np.asarray(image.convert("1"))
    yield UnusualUpload("png of 1 bit", encoded(image.convert("1"), "PNG"), _stacked(bits.astype(np.uint8) * 255))
    yield UnusualUpload("png of grey", encoded(image.convert("L"), "PNG"), _grey(image))
    alpha = Image.fromarray(np.where(rgb[..., 0] < 128, 255, 0).astype(np.uint8))
    masked = rgb * (np.asarray(alpha) > 0)[..., None]
    with_alpha = image.copy()
    with_alpha.putalpha(alpha)
    yield UnusualUpload("png with alpha", encoded(with_alpha, "PNG"), masked)
    grey_alpha = image.convert("L")
    grey_alpha.putalpha(alpha)
    grey_masked = _grey(image) * (np.asarray(alpha) > 0)[..., None]
    yield UnusualUpload("png of grey with alpha", encoded(grey_alpha, "PNG"), grey_masked)
    yield from _odd_palettes()
    text = encoded(image, "PNG")
    bomb = zlib.compress(bytes(100_000_000), 9)
    for name, chunk in {
        "png with a text bomb": png_chunk(b"zTXt", b"k\0\0" + bomb),
        "png with an international text bomb": png_chunk(b"iTXt", b"k\0\1\0\0\0" + bomb),
        "png with a profile bomb": png_chunk(b"iCCP", b"k\0\0" + bomb),
        "png with text in the names of Pillow's own fields": png_chunk(b"tEXt", b"bbox\0" + b"transparency"),
        "png with a text called transparency": png_chunk(b"tEXt", b"transparency\0no"),
        "png with a gamma chunk that is short": png_chunk(b"gAMA", b"\0"),
        "png with a private chunk": png_chunk(b"prVt", b"anything"),
    }.items():
        yield UnusualUpload(name, text[:33] + chunk + text[33:], rgb)
    rows8 = b"".join(b"\0" + row.tobytes() for row in high)
    yield UnusualUpload(
        "png whose data stop early",
        png(16, 16, rows8[: 17 * 8]),
        _stacked(high * (np.arange(16) < 8)[:, None]),
    )
    yield UnusualUpload("png with bytes after its end", text + b"PK\3\4trailing", rgb)


def _odd_palettes() -> Iterable[UnusualUpload]:
    colours = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200]], np.uint8)
    index = np.arange(16 * 16, dtype=np.uint8).reshape(16, 16) % 3
    rows = b"".join(b"\0" + row.tobytes() for row in index)
    palette = png_chunk(b"PLTE", colours.tobytes())
    plain = png(16, 16, rows, colour=3, extra=palette)
    yield UnusualUpload("png with a palette", plain, colours[index])
    hole = colours * np.array([[1], [0], [1]], np.uint8)
    clear = png(16, 16, rows, colour=3, extra=palette + png_chunk(b"tRNS", b"\xff\0\xff"))
    yield UnusualUpload("png with a clear palette entry", clear, hole[index])
    half = png(16, 16, rows, colour=3, extra=palette + png_chunk(b"tRNS", b"\xff\x80\xff"))
    halved = np.array([[200, 0, 0], [0, 100, 0], [0, 0, 200]], np.uint8)
    yield UnusualUpload("png with a half-clear palette entry", half, halved[index], 1)
    grey_rows = b"".join(b"\0" + row.tobytes() for row in index * 50)
    colour_key = png(16, 16, grey_rows, extra=png_chunk(b"tRNS", b"\0\x32"))
    yield UnusualUpload("png with one grey declared clear", colour_key, _stacked(index * 50))


def _odd_webps() -> Iterable[UnusualUpload]:
    image = picture()
    rgb = np.asarray(image)
    alpha = Image.fromarray(np.where(rgb[..., 1] < 90, 255, 0).astype(np.uint8))
    with_alpha = image.copy()
    with_alpha.putalpha(alpha)
    masked = rgb * (np.asarray(alpha) > 0)[..., None]
    lossless = encoded(with_alpha, "WEBP", lossless=True, exact=True)
    yield UnusualUpload("lossless webp", encoded(image, "WEBP", lossless=True), rgb)
    yield UnusualUpload("lossless webp with alpha", lossless, masked)
    smooth = picture()
    smooth.putalpha(255)
    extended = encoded(smooth, "WEBP", quality=100, exif=b"Exif\0\0" + exif(1), xmp=b"<x/>")
    yield UnusualUpload("lossy webp with metadata", extended, rgb, 16)
    half_alpha = picture()
    half_alpha.putalpha(128)
    half = encoded(half_alpha, "WEBP", quality=100)
    yield UnusualUpload("lossy webp, half clear", half, (rgb.astype(np.uint16) * 128 // 255).astype(np.uint8), 10)


_TURNED_BY_CAMERA: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    # What a camera stores so that the named orientation shows the picture upright, written without Pillow.
    1: lambda rgb: rgb,
    2: lambda rgb: rgb[:, ::-1],
    3: lambda rgb: rgb[::-1, ::-1],
    4: lambda rgb: rgb[::-1],
    5: lambda rgb: rgb.transpose(1, 0, 2),
    6: lambda rgb: rgb.transpose(1, 0, 2)[::-1],
    7: lambda rgb: rgb[::-1, ::-1].transpose(1, 0, 2),
    8: lambda rgb: rgb.transpose(1, 0, 2)[:, ::-1],
}


def _orientations() -> Iterable[UnusualUpload]:
    rgb = np.asarray(picture())
    for orientation, turned in _TURNED_BY_CAMERA.items():
        stored = Image.fromarray(np.ascontiguousarray(turned(rgb)))
        block = b"Exif\0\0" + exif(orientation, ">" if orientation % 2 else "<")
        lossy = encoded(stored, "JPEG", quality=95, subsampling=0, exif=block)
        yield UnusualUpload(f"jpeg of orientation {orientation}", lossy, rgb, 12)
        yield UnusualUpload(f"png of orientation {orientation}", encoded(stored, "PNG", exif=block), rgb)
        webp = encoded(stored, "WEBP", lossless=True, exif=block)
        yield UnusualUpload(f"webp of orientation {orientation}", webp, rgb)


def _stacked(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=-1)


def _grey(image: Image.Image) -> np.ndarray:
    return _stacked(np.asarray(image.convert("L")))


def _with_byte(data: bytes, position: int, value: int) -> bytes:
    return data[:position] + bytes((value,)) + data[position + 1 :]


def _frame_payload(jpeg: bytes) -> bytes:
    start = jpeg.index(b"\xff\xc0")
    return jpeg[start + 4 : start + 2 + int.from_bytes(jpeg[start + 2 : start + 4])]


def _jpeg_with_size(jpeg: bytes, width: int, height: int) -> bytes:
    size = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:size] + struct.pack(">HH", height, width) + jpeg[size + 4 :]


def _vp8_header(width: int, height: int) -> bytes:
    return b"\x10\x02\0\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(40)
