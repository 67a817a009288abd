import io
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reid.errors import BoxError, ImageError, ImageTooLargeError, ReidError
from reid.image_formats import MAX_JPEG_SCANS, read_header
from reid.images import (
    ImageLimits,
    count_pixels,
    crop_box,
    decode_image,
    decode_kept,
    encode_crop,
    encode_thumbnail,
)
from tests.images.corpus import (
    MalformedUpload,
    UnusualUpload,
    encoded,
    malformed_uploads,
    picture,
    unusual_uploads,
)

MALFORMED = malformed_uploads()
UNUSUAL = unusual_uploads()
pixels = st.integers(min_value=0, max_value=255)


def by_name(upload: MalformedUpload | UnusualUpload) -> str:
    return upload.name


def test_the_corpus_holds_at_least_sixty_distinct_uploads() -> None:
    assert len({upload.data for upload in MALFORMED}) >= 60
    assert len({upload.name for upload in [*MALFORMED, *UNUSUAL]}) == len(MALFORMED) + len(UNUSUAL)


@pytest.mark.parametrize("upload", MALFORMED, ids=by_name)
def test_malformed_uploads_are_refused(upload: MalformedUpload) -> None:
    with pytest.raises(upload.error) as caught:
        decode_image(upload.data)
    assert type(caught.value) is upload.error
    assert "got" in str(caught.value) or "damaged" in str(caught.value) or "truncated" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("upload", UNUSUAL, ids=by_name)
def test_unusual_uploads_decode_to_their_pixels(upload: UnusualUpload) -> None:
    image = decode_image(upload.data)
    assert image.mode == "RGB"
    assert image.info == {}
    difference = np.abs(np.asarray(image).astype(int) - upload.rgb.astype(int))
    assert difference.shape == upload.rgb.shape
    assert difference.max() <= upload.tolerance


@given(st.binary(max_size=300), st.sampled_from(["", "JPEG", "PNG", "WEBP"]))
def test_any_bytes_give_an_image_or_a_reid_error(tail: bytes, image_format: str) -> None:
    head = encoded(picture(), image_format)[:-20] if image_format else b""
    assert_decodes_or_refuses(head + tail)


@settings(max_examples=300)
@given(
    st.sampled_from(["JPEG", "PNG", "WEBP"]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), pixels), min_size=1, max_size=8),
)
def test_changed_bytes_give_an_image_or_a_reid_error(image_format: str, changes: list[tuple[float, int]]) -> None:
    data = bytearray(encoded(picture(), image_format))
    for place, value in changes:
        data[int(place * len(data))] = value
    assert_decodes_or_refuses(bytes(data))


def assert_decodes_or_refuses(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            image = decode_image(data)
        except ReidError:
            return
    assert image.mode == "RGB"
    assert min(image.size) >= ImageLimits().min_side_px


def test_what_follows_the_end_of_a_jpeg_counts_for_nothing() -> None:
    """Motion photos: a film, in which any bytes may stand, after the picture."""
    data = encoded(picture(), "JPEG")
    film = b"\xff\xda\x00\x02" * (MAX_JPEG_SCANS + 1) + b"\xff\xd9"
    assert read_header(data + film).pixel_bytes == read_header(data).pixel_bytes
    assert np.array_equal(np.asarray(decode_image(data + film)), np.asarray(decode_image(data)))
    with pytest.raises(ImageError, match="expected at most 100 scans"):
        decode_image(data.removesuffix(b"\xff\xd9") + film)


def test_an_end_marker_inside_a_segment_between_scans_is_not_the_end() -> None:
    data = encoded(picture(), "JPEG", progressive=True)
    first = data.index(b"\xff\xda")
    second = data.index(b"\xff\xc4", first)
    comment = b"\xff\xfe\x00\x06\xff\xd9\xff\xd9"
    changed = data[:second] + comment + data[second:]
    assert np.array_equal(np.asarray(decode_image(changed)), np.asarray(decode_image(data)))


def test_pixels_are_counted_before_they_are_decoded() -> None:
    data = encoded(picture(48, 64), "PNG")
    assert count_pixels(data) == 48 * 64
    with pytest.raises(ImageError, match="expected at most 3071 pixels"):
        count_pixels(data, ImageLimits(max_pixels=3071))


def test_our_own_bytes_are_not_limited() -> None:
    kept = encode_crop(noisy(0, 2500, 2500))
    assert len(kept) > ImageLimits().max_bytes
    assert decode_kept(kept).size == (2500, 2500)


def test_limits_are_the_callers() -> None:
    data = encoded(picture(48, 64), "PNG")
    with pytest.raises(ImageTooLargeError, match=f"expected at most 10 bytes, got {len(data)}"):
        decode_image(data, ImageLimits(max_bytes=10))
    with pytest.raises(ImageError, match="expected at most 3071 pixels, got 48×64 = 3072"):
        decode_image(data, ImageLimits(max_pixels=3071))
    with pytest.raises(ImageError, match="expected sides of at most 63 pixels, got 48×64"):
        decode_image(data, ImageLimits(max_side_px=63))
    with pytest.raises(ImageError, match="expected sides of at least 49 pixels, got 48×64"):
        decode_image(data, ImageLimits(min_side_px=49))
    exact = ImageLimits(max_bytes=len(data), max_pixels=3072, max_side_px=64, min_side_px=48)
    assert decode_image(data, exact).size == (48, 64)


@pytest.mark.parametrize("limits", [{"min_side_px": 0}, {"max_side_px": 4}, {"max_pixels": 10**9}])
def test_contradictory_limits_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        ImageLimits(**limits)


@st.composite
def boxes(draw: st.DrawFn, width: int, height: int) -> tuple[int, int, int, int]:
    left = draw(st.integers(0, width - 1))
    top = draw(st.integers(0, height - 1))
    return left, top, draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height))


@given(boxes(48, 64), st.tuples(*[st.floats(-0.49, 0.49)] * 4))
def test_a_crop_is_the_slice_of_the_rounded_box(box: tuple[int, int, int, int], off: tuple[float, ...]) -> None:
    left, top, right, bottom = box
    nudged = [edge + nudge for edge, nudge in zip(box, off, strict=True)]
    expected = np.asarray(picture())[top:bottom, left:right]
    assert np.array_equal(np.asarray(crop_box(picture(), nudged)), expected)


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 0, 10),
        (0, 0, 0.4, 10),
        (10, 10, 5, 20),
        (0, 0, 49, 64),
        (-1, 0, 48, 64),
        (0, 0, 48, 64.6),
        (48, 64, 49, 65),
        (float("nan"), 0, 10, 10),
        (0, 0, float("inf"), 10),
        (0, 0, 10**400, 10),
        (0, -1e308, 10, 10),
        (0, 0, 10),
        (),
    ],
)
def test_boxes_outside_the_frame_or_empty_are_refused(box: tuple[float, ...]) -> None:
    with pytest.raises(BoxError, match=r"expected .*, got "):
        crop_box(picture(48, 64), box)


def noisy(seed: int, width: int, height: int) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


@given(st.integers(0, 2**32), st.integers(8, 70), st.integers(8, 70))
def test_a_kept_crop_decodes_to_its_size_and_nearly_its_pixels(seed: int, width: int, height: int) -> None:
    crop = noisy(seed, width, height)
    data = encode_crop(crop)
    decoded = decode_image(data)
    assert data == encode_crop(crop)
    assert decoded.size == crop.size
    assert np.abs(np.asarray(decoded).astype(int) - np.asarray(crop)).mean() < 8
    assert np.array_equal(np.asarray(decoded), np.asarray(decode_image(data)))


def test_a_kept_crop_carries_no_metadata() -> None:
    secret = b"secret"
    image = picture()
    image.info = {
        "comment": secret,
        "exif": b"Exif\0\0" + secret,
        "icc_profile": secret,
        "xmp": secret,
        "dpi": 9,
    }
    for data in (encode_crop(image), encode_thumbnail(image)):
        assert secret not in data
        stored = Image.open(io.BytesIO(data))
        assert set(stored.info) == {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert stored.getexif() == {}
    assert image.info["comment"] == secret


def test_a_thumbnail_shrinks_and_never_enlarges() -> None:
    assert decode_image(encode_thumbnail(noisy(0, 400, 800))).size == (80, 160)
    assert decode_image(encode_thumbnail(noisy(0, 64, 128))).size == (64, 128)
    assert decode_image(encode_thumbnail(noisy(0, 64, 128), max_side_px=32)).size == (16, 32)


def test_only_rgb_is_encoded() -> None:
    with pytest.raises(ValueError, match="expected an RGB image, got mode L"):
        encode_crop(picture().convert("L"))
