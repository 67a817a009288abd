"""WS /v1/actions/stream: frames in, running scores out; what a frame or a caller gets wrong, by the stream's rules."""

import io
import json
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from reid.clips.preprocess import ClipPreprocess
from reid.predictors import ActionRecognizer
from reid.predictors.label_score import ranked
from service.gallery.sqlite.keys import open_keys, revoke_key
from tests.service.conftest import DEADLINE_S
from tests.service.test_events import NORTH, listening


def frame(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((64, 48)).save(buffer, "JPEG")
    return buffer.getvalue()


def stream_url(service):
    return service.client.base_url.copy_with(scheme="ws", path="/v1/actions/stream")


@contextmanager
def stream(service, key=None, **query):
    url = str(
        service.client.base_url.copy_with(scheme="ws", path="/v1/actions/stream", params={"bundle": "doings"} | query)
    )
    headers = service.client.headers if key is None else key
    wanted = {name: value for name, value in headers.items() if name.lower() == "x-api-key"}
    with connect(url, additional_headers=wanted, open_timeout=DEADLINE_S, proxy=None) as socket:
        yield socket


def answer(socket, message) -> dict:
    socket.send(message)
    return json.loads(socket.recv(timeout=DEADLINE_S))


def test_every_frame_is_answered_with_the_scores_of_the_last_ones(service, doings):
    frames = [frame(seed) for seed in range(7)]
    with stream(service) as socket:
        answers = [answer(socket, one) for one in frames]
    assert [one["window_frames"] for one in answers] == [1, 2, 3, 4, 4, 4, 4]
    recognizer = ActionRecognizer.load(doings, "cpu")
    images = [Image.open(io.BytesIO(one)).convert("RGB") for one in frames[-4:]]
    vectors = recognizer.frames.of(ClipPreprocess(32, 32).stack(images))
    scores = recognizer.head.logits(recognizer.head.statistics(vectors[None])).softmax(dim=1)[0].detach().numpy()
    expected = ranked(recognizer.bundle.labels, scores)
    assert [one["label"] for one in answers[-1]["labels"]] == [one.label for one in expected]
    assert [one["score"] for one in answers[-1]["labels"]] == pytest.approx([one.score for one in expected], abs=1e-3)
    recognizer.close()


def test_a_hostile_frame_is_answered_and_not_looked_at(service, doings):
    with stream(service) as socket:
        before = answer(socket, frame(1))
        wrong = answer(socket, b"no frame")
        assert (wrong["frame"], wrong["status"], wrong["code"], wrong["ends"]) == (2, 415, "image_format", False)
        assert answer(socket, frame(2))["window_frames"] == before["window_frames"] + 1
        for _ in range(9):
            assert not answer(socket, frame(1)[:40])["ends"]
        assert answer(socket, b"")["ends"]
        with pytest.raises(ConnectionClosedError) as closed:
            socket.recv(timeout=DEADLINE_S)
        assert closed.value.rcvd.code == 1008
    assert service.core.actions.admission.images == 0


def test_text_and_messages_that_are_too_large_end_a_stream(service, doings):
    with stream(service) as socket:
        assert answer(socket, "hello")["code"] == "stream_message"
        with pytest.raises(ConnectionClosedError):
            socket.recv(timeout=DEADLINE_S)
    with stream(service) as socket:
        with pytest.raises(ConnectionClosedError) as closed:
            # In two fragments, so that all is sent when it is refused: who still sends may never read the reason.
            answer(socket, [bytes(4 * 2**20), b"x"])
        assert closed.value.rcvd.code == 1009


def test_who_may_not_open_a_stream_is_told_so_at_the_handshake(service, doings, monkeypatch):
    refused = [
        (401, {"key": {}}),
        (403, {"key": service.key("enrol")}),
        (403, {"key": service.key("read"), "camera_id": "north"}),
        (403, {"key": service.key("read", "enrol", cameras=NORTH), "camera_id": "south"}),
        (404, {"bundle": "nothing"}),
        (422, {"min_score": 7}),
        (422, {"colour": "red"}),
    ]
    for status, asked in refused:
        with pytest.raises(InvalidStatus) as error, stream(service, **asked):
            pass
        assert error.value.response.status_code == status
        assert json.loads(error.value.response.body)["status"] == status
    with stream(service):
        monkeypatch.setattr(service.core.streams, "_most", 1)
        with pytest.raises(InvalidStatus, match="503"), stream(service):
            pass


def test_another_page_opens_no_stream_of_a_service_without_keys(open_service):
    url = stream_url(open_service)
    with pytest.raises(InvalidStatus, match="403"), connect(str(url), origin="http://elsewhere.example", proxy=None):
        pass


def test_a_revoked_key_ends_its_stream(service, doings, monkeypatch):
    monkeypatch.setattr("service.action_stream.KEY_S", 0.0)
    key = service.key("read")
    with stream(service, key) as socket:
        assert "labels" in answer(socket, frame(1))
        with open_keys(service.core.settings.store_address) as connection:
            revoke_key(connection, key["X-API-Key"].split("_")[1])
        assert answer(socket, frame(2))["code"] == "unauthorized"
        with pytest.raises(ConnectionClosedError):
            socket.recv(timeout=DEADLINE_S)


def test_what_a_stream_recognises_anew_is_told_once(service, doings):
    with (
        listening(service, events=["action_recognised"]) as events,
        stream(service, camera_id="north", min_score=0) as socket,
    ):
        answers = [answer(socket, frame(1)) for _ in range(8)]
        told = [one["event"] for one in answers if one["event"]]
        assert len(told) == 1
        assert answers[3]["event"] == told[0]
        assert next(events)[2]["action"] == told[0]
