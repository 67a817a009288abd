"""Whole frames: where people are in them, and their enrolment."""

import base64
import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from reid.detection import load_detector
from reid.errors import DetectorError
from reid.images import crop_box, decode_image, encode_crop
from service import client
from service.client import Client
from service.core import Core
from service.settings import Settings
from tests.detection.conftest import write_detector
from tests.service.conftest import Service, serving

TWO = [(0.0, 1.0, 0.7, 0.1, 0.1, 0.3, 0.9), (0.0, 1.0, 0.9, 0.5, 0.2, 0.8, 1.2), (0.0, 2.0, 0.9, 0.1, 0.1, 0.3, 0.9)]
SUREST, OTHER = [60.0, 16.0, 96.0, 80.0], [12.0, 8.0, 36.0, 72.0]


def frame(seed: int = 0) -> bytes:
    """A PNG of 120 × 80 pixels."""
    blocks = np.random.default_rng(seed).integers(0, 255, (8, 12, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(blocks).resize((120, 80), Image.Resampling.NEAREST).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory, embedder, tiny_bundle) -> Iterator[Service]:
    """A service whose detector finds two people in every frame, and a thing."""
    folder = tmp_path_factory.mktemp("seeing")
    detector = write_detector(folder / "detector.onnx", TWO)
    settings = Settings(home=folder / "home", bundle=str(tiny_bundle), detector=str(detector), device="cpu")
    with serving(settings, embedder) as running:
        yield running


def test_the_people_of_each_frame_are_told_best_first(seeing):
    files = [("file", ("one.png", frame(1))), ("file", ("two.png", frame(2)))]
    frames = seeing.client.post("/v1/detections", files=files).json()["frames"]
    assert len(frames) == 2
    for found in frames:
        assert [one["score"] for one in found["people"]] == pytest.approx([0.9, 0.7])
        assert [one["box_xyxy"] for one in found["people"]] == [pytest.approx(SUREST), pytest.approx(OTHER)]
    with Client(str(seeing.client.base_url), seeing.client.headers["X-API-Key"]) as asking:
        assert [len(one.people) for one in asking.send(client.detect([frame(1)])).frames] == [2]


def test_everybody_in_a_frame_is_enrolled_with_the_crop_of_their_box(seeing):
    answer = seeing.client.post(
        "/v1/sightings", files={"file": frame(3)}, data={"detect": "true", "camera_id": "door", "tags": "seen"}
    )
    assert answer.status_code == 201, answer.text
    sightings = answer.json()["sightings"]
    assert {(one["camera_id"], one["person_id"], *one["tags"]) for one in sightings} == {("door", None, "seen")}
    (seen,) = seeing.client.post("/v1/detections", files={"file": frame(3)}).json()["frames"]
    for sighting, person in zip(sightings, seen["people"], strict=True):
        kept = seeing.client.get(f"/v1/sightings/{sighting['sighting_id']}/image").content
        assert kept == encode_crop(crop_box(decode_image(frame(3)), person["box_xyxy"]))


def test_a_detected_frame_sent_again_under_its_key_is_answered_as_before(seeing):
    body = {"images": [base64.b64encode(frame(4)).decode()], "detect": True}
    first, again = (
        seeing.client.post("/v1/sightings", json=body, headers={"Idempotency-Key": "frame-4"}) for _ in range(2)
    )
    assert first.json() == again.json()
    other = seeing.client.post("/v1/sightings", json=body | {"detect": False}, headers={"Idempotency-Key": "frame-4"})
    assert other.json()["code"] == "idempotency_key_reused"


@pytest.mark.parametrize(
    "fields",
    [{"person_id": "ada"}, {"tracklet_id": "t"}, {"box_xyxy": "[0, 0, 20, 40]"}],
    ids=lambda one: next(iter(one)),
)
def test_people_who_are_detected_are_not_known_yet(seeing, fields):
    answer = seeing.client.post("/v1/sightings", files={"file": frame()}, data={"detect": "true", **fields})
    assert answer.status_code == 422
    assert "expected a frame of people not known yet" in answer.text


def test_detection_is_for_one_frame(seeing):
    files = [("file", ("one.png", frame(1))), ("file", ("two.png", frame(2)))]
    answer = seeing.client.post("/v1/sightings", files=files, data={"detect": "true"})
    assert (answer.status_code, "got 2" in answer.json()["detail"]) == (422, True)


def test_what_is_no_image_is_refused_and_the_detector_goes_on(seeing):
    assert seeing.client.post("/v1/detections", files={"file": b"nothing"}).status_code == 415
    assert seeing.client.post("/v1/detections", files={"file": frame()[:60]}).status_code == 422
    assert seeing.client.post("/v1/detections", files={"file": frame()}).status_code == 200


def test_a_frame_with_nobody_in_it_enrols_nobody(tmp_path, embedder):
    detector = write_detector(tmp_path / "blind.onnx", [(0.0, 1.0, 0.1, 0.1, 0.1, 0.3, 0.9)])
    settings = Settings(home=tmp_path / "home", detector=str(detector), device="cpu")
    with serving(settings, embedder) as service:
        assert service.client.post("/v1/detections", files={"file": frame()}).json() == {"frames": [{"people": []}]}
        answer = service.client.post("/v1/sightings", files={"file": frame()}, data={"detect": "true"})
        assert (answer.status_code, answer.json()["code"]) == (422, "nobody_found")
        assert service.get("/v1/sightings")["sightings"] == []


def test_without_a_detector_a_whole_frame_is_told_what_is_missing(shared_service):
    for answer in (
        shared_service.client.post("/v1/detections", files={"file": frame()}),
        shared_service.client.post("/v1/sightings", files={"file": frame()}, data={"detect": "true"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "no_detector")
        assert "expected REID_DETECTOR to be set" in answer.json()["detail"]


def test_a_detector_that_does_not_exist_is_refused_at_the_start(tmp_path, tiny_bundle):
    settings = Settings(home=tmp_path / "home", bundle=str(tiny_bundle), detector=str(tmp_path / "none.onnx"))
    with pytest.raises(DetectorError, match=r"expected a detector's \.xml or \.onnx file"):
        Core.open(settings)


def test_a_real_detector_finds_the_people_of_a_real_frame(tmp_path, embedder, person_detector, datasets):
    settings = Settings(home=tmp_path / "home", detector=str(person_detector), device="cpu")
    with serving(settings, embedder) as service:
        image = min((datasets / "frames").glob("*.jpg")).read_bytes()
        (found,) = service.client.post("/v1/detections", files={"file": image}).json()["frames"]
        people = load_detector(str(person_detector)).detect(decode_image(image))
        assert [tuple(one["box_xyxy"]) for one in found["people"]] == [pytest.approx(one.box_xyxy) for one in people]
        enrolled = service.client.post("/v1/sightings", files={"file": image}, data={"detect": "true"}).json()
        assert len(enrolled["sightings"]) == len(people) > 0
