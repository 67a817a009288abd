"""Hostile uploads: whatever comes, the answer is a problem that names it, in 4xx, and nothing of it is kept."""

import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from service.auth import RULES
from tests.service.conftest import crop
from tests.service.gallery.conftest import wait_until

UPLOADS = sorted(path.format(name="glasses") for (_, path), rule in RULES.items() if rule.embeds)
BOUNDARY = {"Content-Type": "multipart/form-data; boundary=b"}
JSON = {"Content-Type": "application/json"}


def encoded(kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 64)).save(buffer, kind, **options)
    return buffer.getvalue()


def part(content: bytes, head: bytes = b'name="file"; filename="a"') -> bytes:
    return b"--b\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n" + content + b"\r\n"


IMAGES = {
    "nothing": b"",
    "one byte": b"\x00",
    "a text": b"hello",
    "half a PNG": crop(1)[: len(crop(1)) // 2],
    "a PNG's head alone": crop(1)[:33],
    "a PNG that says it is huge": crop(1)[:16] + b"\x7f\xff\xff\xff" * 2 + crop(1)[24:],
    "a JPEG without pixels": b"\xff\xd8\xff\xd9",
    "half a JPEG's head": encoded("JPEG")[:40],
    "a GIF": encoded("GIF"),
    "a TIFF": encoded("TIFF"),
    "an SVG that asks for a file": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "a page": b"<html><script>alert(1)</script></html>",
    "a zip": b"PK\x03\x04" + bytes(100),
    "an animation": encoded("PNG", save_all=True, append_images=[Image.new("RGB", (32, 64), "red")]),
    "a thin image": encoded("PNG").replace(b"\x00\x00\x00\x20\x00\x00\x00\x40", b"\x00\x00\x00\x01\x00\x00\x40\x00"),
}
BODIES = {
    "no end": (part(crop(1)), BOUNDARY),
    "no head": (b"--b\r\n\r\nx\r\n--b--", BOUNDARY),
    "a head without a name": (part(b"x", b"") + b"--b--", BOUNDARY),
    "another boundary": (part(crop(1)) + b"--b--", {"Content-Type": "multipart/form-data; boundary=c"}),
    "too many files": (part(b"x") * 65 + b"--b--", BOUNDARY),
    "too many fields": (part(b"x", b'name="x"') * 300 + b"--b--", BOUNDARY),
    "a text field named file": (part(b"x", b'name="file"') + b"--b--", BOUNDARY),
    "a file named otherwise": (part(crop(1), b'name="image"; filename="a"') + b"--b--", BOUNDARY),
    "an unknown field": (part(crop(1)) + part(b"x", b'name="colour"') + b"--b--", BOUNDARY),
    "bytes that are no text": (part(crop(1)) + part(b"\xff\xfe", b'name="person_id"') + b"--b--", BOUNDARY),
    "a character set that is none": (part(b"x", b"name*=no-such'en'x") + b"--b--", BOUNDARY),
    "JSON that is none": (b"{", JSON),
    "JSON of another kind": (b"[1]", JSON),
    "deep JSON": (b'{"images":' + b"[" * 50_000, JSON),
    "images that are no text": (b'{"images": [1]}', JSON),
    "images that are no base64": (b'{"images": ["\xc3\xa4"]}', JSON),
    "half a character": (b'{"images": ["\\ud800"]}', JSON),
    "a number that is none": (b'{"images": [], "top_k": NaN}', JSON),
    "the same twice": (b'{"images": [], "images": 3}', JSON),
    "another type": (crop(1), {"Content-Type": "image/png"}),
}


def refused(service, path: str, body: bytes, headers: dict[str, str]) -> None:
    before = service.core.gallery.change
    answer = service.client.post(path, content=body, headers=headers)
    assert 400 <= answer.status_code < 500, (path, answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    json.dumps(answer.json())
    assert service.core.gallery.change == before
    wait_until(lambda: service.core.model.queue.admission.images == 0)  # it leaves once the answer has


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_that_is_none_is_refused_wherever_it_is_sent(shared_service, name):
    for path in UPLOADS:
        refused(shared_service, path, part(IMAGES[name]) + b"--b--", BOUNDARY)
        refused(shared_service, path, part(crop(1)) + part(IMAGES[name]) + b"--b--", BOUNDARY)


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_none_is_refused_wherever_it_is_sent(shared_service, name):
    for path in UPLOADS:
        refused(shared_service, path, *BODIES[name])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(UPLOADS), st.binary(max_size=300), st.sampled_from([JSON, BOUNDARY]))
def test_any_bytes_are_answered_without_a_failure_of_ours(shared_service, path, body, headers):
    answer = shared_service.client.post(path, content=body, headers=headers)
    assert answer.status_code < 500


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_image_is_used_or_refused_and_never_a_failure_of_ours(shared_service, data):
    damaged = bytearray(data.draw(st.sampled_from([crop(1), encoded("JPEG"), encoded("WEBP")])))
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(damaged) - 1), st.integers(0, 255)), max_size=8)
    ):
        damaged[place] = value
    answer = shared_service.client.post("/v1/embeddings", content=part(bytes(damaged)) + b"--b--", headers=BOUNDARY)
    assert answer.status_code in (200, 413, 415, 422), answer.text
