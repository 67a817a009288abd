"""POST /v1/sightings and what can be done with a sighting."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from reid.images import ImageLimits, crop_box, decode_image, encode_crop
from service.settings import Settings
from tests.images.corpus import malformed_uploads
from tests.service.conftest import crop, serving

MALFORMED = malformed_uploads()


def state(service) -> tuple[int, dict[str, bytes]]:
    """The change number, and the crops that lie on the disk."""
    crops = service.core.settings.home / "crops"
    return service.core.gallery.change, {path.name: path.read_bytes() for path in crops.rglob("*") if path.is_file()}


def test_crops_are_kept_without_metadata_and_embedded_from_the_kept_bytes(service):
    answer = service.enrol(1, 2, person_id="ada", camera_id="north", captured_at="2026-01-31T12:00:00.5+05:30")
    assert answer["change"] == 1
    assert [s["captured_at"] for s in answer["sightings"]] == ["2026-01-31T12:00:00.500000+05:30"] * 2
    for seed, sighting in zip((1, 2), answer["sightings"], strict=True):
        image = service.client.get(f"/v1/sightings/{sighting['sighting_id']}/image")
        assert image.headers["content-type"] == "image/jpeg"
        assert image.content == encode_crop(decode_image(crop(seed)))
        embedding = service.core.model.embedder.embed([image.content])[0].astype(np.float16)
        (result,) = service.search(queries=[{"vector": embedding.tolist()}], top_k=1)["results"]
        assert result["matches"][0]["sighting_id"] == sighting["sighting_id"]
        assert result["matches"][0]["score"] == pytest.approx(1, abs=1e-3)


def test_json_and_multipart_mean_the_same(service):
    fields = {"person_id": "ada", "camera_id": "n", "tracklet_id": "t", "captured_at": "2026-01-01T00:00:00Z"}
    text = {**fields, "tags": "red,staff", "metadata": json.dumps({"a": [1, None]}), "box_xyxy": "[0, 0, 20, 40]"}
    one = service.enrol(1, **text)["sightings"][0]
    values = {**fields, "tags": ["red", "staff"], "metadata": {"a": [1, None]}, "box_xyxy": [0, 0, 20, 40]}
    images = [base64.b64encode(crop(1)).decode()]
    two = service.client.post("/v1/sightings", json={**values, "images": images}).json()["sightings"][0]
    unlike = ("sighting_id", "created_at")
    assert {k: v for k, v in one.items() if k not in unlike} == {k: v for k, v in two.items() if k not in unlike}
    assert (one["width_px"], one["height_px"], one["metadata"]) == (20, 40, {"a": [1, None]})


@pytest.mark.parametrize("tags", ['["b", "a"]', "b, a", ["b", "a"]])
def test_tags_may_be_written_in_three_ways(service, tags):
    assert service.enrol(1, tags=tags)["sightings"][0]["tags"] == ["a", "b"]


def test_a_box_is_cut_out_of_its_frame(service):
    sighting = service.enrol(1, box_xyxy="[4, 8, 20, 48]")["sightings"][0]
    kept = service.client.get(f"/v1/sightings/{sighting['sighting_id']}/image").content
    assert kept == encode_crop(crop_box(decode_image(crop(1)), [4, 8, 20, 48]))


def test_a_thumbnail_is_small(service):
    files = [("file", ("large.png", crop(1, (640, 320))))]
    sighting = service.client.post("/v1/sightings", files=files).json()["sightings"][0]
    thumbnail = service.client.get(f"/v1/sightings/{sighting['sighting_id']}/thumbnail").content
    assert Image.open(io.BytesIO(thumbnail)).size == (80, 160)


def test_unknown_people_are_sightings_too_and_can_be_named_later(service):
    sighting = service.enrol(1)["sightings"][0]
    assert sighting["person_id"] is None
    path = f"/v1/sightings/{sighting['sighting_id']}"
    moved = service.client.patch(path, json={"person_id": "ada", "tags": ["x"]}).json()
    assert (moved["person_id"], moved["tags"], moved["change"]) == ("ada", ["x"], 2)
    assert service.get(path, min_change=2)["person_id"] == "ada"
    assert service.client.patch(path, json={"metadata": {"a": 1}}).json()["person_id"] == "ada"
    assert service.client.delete(path).json() == {
        "sighting_id": sighting["sighting_id"],
        "pending": [],
        "change": 4,
    }
    for method in ("GET", "PATCH", "DELETE"):
        answer = service.client.request(method, path, json={} if method == "PATCH" else None)
        assert answer.status_code == 404


def test_the_list_follows_its_cursor(service):
    ids = [service.enrol(seed, camera_id=f"c{seed % 2}")["sightings"][0]["sighting_id"] for seed in range(5)]
    listed, cursor = [], None
    while True:
        page = service.get("/v1/sightings", limit=2, **({"cursor": cursor} if cursor else {}))
        listed += [sighting["sighting_id"] for sighting in page["sightings"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert listed == ids
    assert len(service.get("/v1/sightings", camera_id="c1")["sightings"]) == 2
    named = service.enrol(9, camera_id="c1", person_id="ada")["sightings"]
    assert service.get("/v1/sightings", known=True)["sightings"] == named
    assert [one["sighting_id"] for one in service.get("/v1/sightings", known=False)["sightings"]] == ids


def test_the_latest_come_first_where_that_is_asked_for(service):
    times = ["2026-03-01T12:00:00+01:00", "1970-01-02T00:00:00+14:00", "2026-03-01T11:00:00Z", "2026-03-02T00:00:00Z"]
    ids = [service.enrol(n, captured_at=time)["sightings"][0]["sighting_id"] for n, time in enumerate(times)]
    pages, cursor = [], {}
    while not pages or cursor["cursor"] is not None:
        answer = service.get("/v1/sightings", order="latest", limit=1, **cursor)
        pages.append([one["sighting_id"] for one in answer["sightings"]])
        cursor = {"cursor": answer["next_cursor"]}
        service.client.delete(f"/v1/sightings/{pages[0][0]}")  # where a page ended may be gone
    assert pages == [[ids[3]], [ids[2]], [ids[0]], [ids[1]]]
    place = service.get("/v1/sightings", order="latest", limit=1)["next_cursor"]
    assert service.get("/v1/sightings", expect=422, cursor=place)["code"] == "cursor"


def test_the_same_idempotency_key_enrols_once(service):
    key = {"Idempotency-Key": "event-1"}
    first = service.enrol(1, headers=key, person_id="ada")
    second = service.client.post(
        "/v1/sightings", files=[("file", ("renamed.png", crop(1)))], data={"person_id": "ada"}, headers=key
    )
    assert (second.status_code, second.json()) == (201, first)
    assert second.headers["Idempotency-Replayed"] == "true"
    before = state(service)
    assert service.enrol(2, expect=409, headers=key, person_id="ada")["code"] == "idempotency_key_reused"
    assert service.enrol(1, expect=409, headers=key, person_id="bob")["code"] == "idempotency_key_reused"
    assert service.enrol(1, expect=422, headers={"Idempotency-Key": "a b"})["errors"][0]["loc"][0] == "header"
    assert state(service) == before
    service.client.delete("/v1/persons/ada")
    assert service.enrol(1, expect=410, headers=key, person_id="ada")["code"] == "erased"


WRONG_FIELDS = {
    "unknown field": {"colour": "red"},
    "empty person": {"person_id": ""},
    "person with a slash": {"person_id": "a/b"},
    "person with a line break": {"person_id": "a\nb"},
    "person too long": {"person_id": "x" * 129},
    "person twice": {"person_id": ["a", "b"]},
    "camera with spaces around": {"camera_id": " north"},
    "time without an offset": {"captured_at": "2026-01-31T12:00:00"},
    "time as a number": {"captured_at": "1769857200"},
    "time before 1970": {"captured_at": "1969-01-01T00:00:00Z"},
    "time that is none": {"captured_at": "yesterday"},
    "box that is no JSON": {"box_xyxy": "1,2,3,4"},
    "box of three": {"box_xyxy": "[1, 2, 3]"},
    "box not finite": {"box_xyxy": "[0, 0, NaN, 9]"},
    "box of no pixels": {"box_xyxy": "[4, 4, 4, 40]"},
    "box outside the frame": {"box_xyxy": "[0, 0, 33, 64]"},
    "box turned over": {"box_xyxy": "[20, 0, 4, 64]"},
    "box too small to embed": {"box_xyxy": "[0, 0, 2, 2]"},
    "metadata that is no JSON": {"metadata": "{"},
    "metadata that is a list": {"metadata": "[]"},
    "metadata not finite": {"metadata": '{"a": NaN}'},
    "metadata with half a character": {"metadata": '{"a": "\\ud800"}'},
    "metadata too large": {"metadata": json.dumps({"a": "x" * 20_000})},
    "metadata too deep": {"metadata": '{"a":' * 100_000},
    "an empty tag": {"tags": "a,,b"},
    "too many tags": {"tags": ",".join(map(str, range(65)))},
}


@pytest.mark.parametrize("fields", WRONG_FIELDS.values(), ids=WRONG_FIELDS)
def test_a_wrong_field_is_a_422_and_nothing_is_kept(shared_service, fields):
    before = state(shared_service)
    problem = shared_service.enrol(1, expect=422, **fields)
    assert problem["code"] in ("invalid", "box", "image")
    assert "expected" in problem["detail"] or problem["errors"]
    assert state(shared_service) == before


def test_one_box_is_for_one_image(shared_service):
    assert "got 2" in shared_service.enrol(1, 2, expect=422, box_xyxy="[0, 0, 20, 40]")["detail"]


def test_of_several_crops_all_are_kept_or_none(shared_service):
    before = state(shared_service)
    files = [("file", ("good.png", crop(1))), ("file", ("bad.png", b"bad"))]
    assert shared_service.client.post("/v1/sightings", files=files).status_code == 415
    assert state(shared_service) == before


def test_the_pixels_of_a_request_are_limited_together(service, monkeypatch):
    monkeypatch.setattr("service.crops.MOST_PIXELS", 64 * 32 * 2)
    service.enrol(1, 2)
    assert "pixels in one request" in service.enrol(1, 2, 3, expect=422)["detail"]


def test_a_small_file_of_many_pixels_is_kept_however_large_it_grows(tmp_path, embedder):
    """24 megapixels as a telephone writes them: our own copy is larger than what may be uploaded."""
    noise = np.random.default_rng(0).integers(0, 256, (4000, 6000, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", quality=40)
    assert len(buffer.getvalue()) < ImageLimits().max_bytes
    with serving(Settings(home=tmp_path / "home"), embedder) as service:
        answer = service.client.post("/v1/sightings", files=[("file", ("large.jpg", buffer.getvalue()))])
        assert answer.status_code == 201, answer.text
        path = f"/v1/sightings/{answer.json()['sightings'][0]['sighting_id']}"
        assert len(service.client.get(f"{path}/image").content) > ImageLimits().max_bytes
        assert service.client.get(f"{path}/thumbnail").status_code == 200


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2026-01-31T12:00:00.123456789+01:00", "2026-01-31T12:00:00.123456+01:00"),
        ("2026-01-31T12:00:00.1234569Z", "2026-01-31T12:00:00.123456Z"),
        ("2026-01-31T12:00:00.1Z", "2026-01-31T12:00:00.100000Z"),
    ],
)
def test_times_may_be_finer_than_is_kept(service, given, kept):
    assert service.enrol(1, captured_at=given)["sightings"][0]["captured_at"] == kept


def test_a_plus_that_the_url_lost_is_named(shared_service):
    path = "/v1/sightings?since=2026-01-31T12:00:00+01:00"
    answer = shared_service.client.get(path)
    assert answer.status_code == 422
    assert "in a URL, + is written %2B" in answer.json()["detail"]
    assert shared_service.client.get(path.replace("+", "%2B")).status_code == 200


def test_every_malformed_upload_is_refused_alike_by_every_route_and_nothing_is_kept(service):
    service.enrol(1, person_id="ada")
    before = state(service)
    expected = {"ImageTooLargeError": 413, "ImageFormatError": 415, "ImageError": 422}
    for number, upload in enumerate(MALFORMED):
        status = expected[upload.error.__name__]
        if len(upload.data) > service.core.settings.max_body_bytes:
            status = 413
        others = ("/v1/search", "/v1/embeddings") if number % 7 == 0 else ()  # they read images the same way
        for path in ("/v1/sightings", *others):
            answer = service.client.post(path, files=[("file", ("upload.png", upload.data))])
            assert answer.status_code == status, (upload.name, path, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
    assert len(MALFORMED) >= 60
    assert state(service) == before
