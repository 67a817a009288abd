"""DeepStack's dialect before a real service: what Double Take and its like send, and what they read."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from starlette.testclient import TestClient

from service.child import free_port
from service.deepstack.app import deepstack_app
from service.settings import Settings
from tests.detection.conftest import write_detector
from tests.service.conftest import Service, crop, serving
from tests.service.gallery.conftest import DEADLINE_S
from tests.service.test_detections import OTHER, SUREST, TWO, frame


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory, embedder, tiny_bundle) -> Iterator[Service]:
    """The service that is asked, without a detector."""
    home = tmp_path_factory.mktemp("behind") / "home"
    with serving(Settings(home=home, bundle=str(tiny_bundle), device="cpu"), embedder) as running:
        yield running


@pytest.fixture(scope="module")
def dialect(behind: Service) -> Iterator[httpx.Client]:
    """The command as it is run, and somebody who speaks to it."""
    yield from speaking(behind)


def speaking(service: Service) -> Iterator[httpx.Client]:
    port = free_port(0)
    command = [sys.executable, "-m", "service.cli", "deepstack", "--port", str(port)]
    environment = os.environ | {"REID_URL": str(service.client.base_url)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=DEADLINE_S, trust_env=False) as client:
            until = time.monotonic() + DEADLINE_S
            while not answers(client):
                assert process.poll() is None
                assert time.monotonic() < until
            yield client
    finally:
        process.terminate()
        process.wait()


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/v1/status/ping").json() == {"success": True}
    except httpx.TransportError:
        time.sleep(0.05)
        return False


def say(dialect: httpx.Client, what: str, service: Service, *images: bytes, expect: int = 200, **fields: str) -> dict:
    files = [(f"image{number or ''}", (f"{number}.png", image)) for number, image in enumerate(images)]
    key = {"api_key": service.client.headers["X-API-Key"]}
    answer = dialect.post(f"/v1/vision/face/{what}", files=files or None, data=key | fields)
    assert answer.status_code == expect, answer.text
    said = answer.json()
    assert said["success"] == (expect == 200)
    return said


def test_who_was_registered_is_recognised_listed_and_deleted(behind, dialect):
    assert say(dialect, "register", behind, crop(1), crop(2), userid="ada")["message"] == "face added"
    say(dialect, "register", behind, crop(3), userid="bob")
    assert say(dialect, "list", behind)["faces"] == ["ada", "bob"]
    for image, userid in ((crop(1), "ada"), (crop(2), "ada"), (crop(3), "bob")):
        (found,) = say(dialect, "recognize", behind, image, min_confidence="0.9")["predictions"]
        assert (found["userid"], found["confidence"]) == (userid, pytest.approx(1, abs=0.01))
        assert [found[side] for side in ("x_min", "y_min", "x_max", "y_max")] == [0, 0, 32, 64]
    say(dialect, "delete", behind, userid="bob")
    assert say(dialect, "list", behind)["faces"] == ["ada"]
    assert behind.client.get("/v1/persons/bob").status_code == 404


def test_somebody_nobody_knows_is_unknown(behind, dialect):
    behind.enrol(9)  # a sighting of nobody in particular
    (found,) = say(dialect, "recognize", behind, crop(9), min_confidence="1")["predictions"]
    assert (found["userid"], found["confidence"]) == ("unknown", 0)


def test_without_a_confidence_the_calibration_in_force_says_how_sure_is_sure(behind, dialect):
    say(dialect, "register", behind, crop(5), userid="eve")
    (found,) = say(dialect, "recognize", behind, crop(5))["predictions"]
    assert found["userid"] == "eve"


@pytest.mark.parametrize(
    ("what", "images", "fields", "status", "said"),
    [
        ("register", [crop(1)], {}, 400, "expected userid, got none"),
        ("register", [], {"userid": "ada"}, 400, "expected an image, got none"),
        ("register", [b"nothing"], {"userid": "ada"}, 415, "expected"),
        ("recognize", [crop(1), crop(2)], {}, 400, "expected one image, got 2"),
        ("recognize", [crop(1)], {"min_confidence": "much"}, 400, "expected min_confidence from 0 to 1, got 'much'"),
        ("recognize", [crop(1)], {"min_confidence": "nan"}, 400, "expected min_confidence from 0 to 1, got 'nan'"),
        ("delete", [], {"userid": "nobody"}, 404, "nobody"),
        ("list", [], {"api_key": "wrong"}, 401, "expected an API key in force"),
        ("list", [], {"api_key": ""}, 401, "expected an API key"),
    ],
)
def test_what_cannot_be_done_is_told_as_they_expect_it(behind, dialect, what, images, fields, status, said):
    assert said in say(dialect, what, behind, *images, expect=status, **fields)["error"]


def test_a_key_without_the_scope_is_refused(behind, dialect):
    key = behind.key("read")["X-API-Key"]
    assert "scope enrol" in say(dialect, "register", behind, crop(1), expect=403, userid="x", api_key=key)["error"]


def test_a_service_with_a_detector_is_asked_for_everybody_in_the_frame(tmp_path, embedder, tiny_bundle):
    detector = write_detector(tmp_path / "detector.onnx", TWO)
    settings = Settings(home=tmp_path / "home", bundle=str(tiny_bundle), detector=str(detector), device="cpu")
    with serving(settings, embedder) as service:
        speaker = speaking(service)
        dialect = next(speaker)
        say(dialect, "register", service, frame(1), userid="ada")
        assert len(service.get("/v1/sightings")["sightings"]) == 1  # of the surest alone
        found = say(dialect, "recognize", service, frame(1), min_confidence="0.999")["predictions"]
        boxes = [[one[side] for side in ("x_min", "y_min", "x_max", "y_max")] for one in found]
        assert boxes == [SUREST, OTHER]
        assert found[0]["userid"] == "ada"
        speaker.close()


def test_a_service_that_is_away_is_said_to_be():
    asked = TestClient(deepstack_app(f"http://127.0.0.1:{free_port(0)}"))
    answer = asked.post("/v1/vision/face/list", files={"image": ("a.png", crop(1))})
    assert (answer.status_code, answer.json()["success"]) == (502, False)
    assert "expected the service to answer" in answer.json()["error"]
