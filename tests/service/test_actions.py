"""Actions: a clip in, what happens in it out; its news on the event stream; hostile clips change nothing."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reid.clips import Sampling
from reid.clips.sampling import Policy
from reid.errors import ClipError
from reid.precision import Precision
from reid.predictors import ActionRecognizer
from reid.threads import available_processors
from service.settings import Settings
from tests.clips.corpus import clip, fuzzed
from tests.service.conftest import DEADLINE_S, serving, write_doings
from tests.service.test_events import NORTH, listening


def recognise(service, data, expect=200, headers=None, **fields):
    answer = service.client.post(
        "/v1/actions", files={"file": data}, data={"bundle": "doings"} | fields, headers=headers
    )
    assert answer.status_code == expect, answer.text
    return answer.json()


def test_scores_are_those_of_the_bundle_itself_with_time_ranges(service, doings):
    data = clip(frames=11)
    recognizer = ActionRecognizer.load(doings, "cpu")
    answer = recognise(service, data)
    assert {one["label"]: one["score"] for one in answer["labels"]} == pytest.approx(
        {one.label: one.score for one in recognizer.predict(data)}, abs=1e-4
    )
    assert (answer["num_frames"], answer["fps"], answer["codec"], answer["events"]) == (11, 10.0, "mpeg4", [])
    assert answer["bundle_id"] == recognizer.bundle.id
    dense = recognise(service, data, windows="dense")
    expected = recognizer.scores(recognizer.decode(data, Sampling(Policy.DENSE, 4)))
    assert [(one["start_s"], one["end_s"]) for one in dense["windows"]] == [(0.0, 0.3), (0.4, 0.7), (0.7, 1.0)]
    for window, scores in zip(dense["windows"], expected, strict=True):
        found = {one["label"]: one["score"] for one in window["labels"]}
        assert [found[label] for label in recognizer.bundle.labels] == pytest.approx(scores.tolist(), abs=1e-4)
    recognizer.close()


def test_openvino_and_torch_see_the_same_in_frames(doings, tmp_path, monkeypatch):
    monkeypatch.setattr("reid.precision.native_half", lambda _: Precision.FP32)  # in bf16 each rounds where it sees fit
    scores = []
    for device in ("cpu", "openvino", "openvino"):  # the last one reads what the one before it kept
        recognizer = ActionRecognizer.load(doings, device, cache=tmp_path / "cache")
        scores.append(recognizer.clip_scores(clip(frames=11)))
        recognizer.close()
    assert (tmp_path / "cache" / f"{recognizer.bundle.id}.xml").exists()
    assert scores[1] == pytest.approx(scores[0], abs=1e-4)
    assert scores[2] == pytest.approx(scores[1], abs=1e-6)


def test_the_shipped_bundle_answers_unless_another_is_named(service):
    answer = service.client.post("/v1/actions", files={"file": clip(frames=30)}).raise_for_status().json()
    assert {one["label"] for one in answer["labels"]} == {"fight", "noFight"}
    shipped = next(one for one in service.get("/v1/models")["models"] if one["name"] == "fights")
    assert answer["bundle_id"] == shipped["bundle_id"]


def test_what_is_recognised_on_a_camera_is_told_to_those_who_may_know(service, doings):
    with listening(service, events=["action_recognised"]) as events:
        recognise(service, clip(), camera_id="south", min_score=0)
        answer = recognise(service, clip(), camera_id="north", min_score=0, captured_at="2026-01-31T12:00:00+01:00")
        assert next(events)[2]["action"]["camera_id"] == "south"
        kind, ident, data = next(events)
        assert (kind, ident) == ("action_recognised", str(answer["change"]))
        (told,) = answer["events"]
        assert data["action"] == told
        assert (told["started_at"], told["ended_at"]) == (
            "2026-01-31T12:00:00.100000+01:00",
            "2026-01-31T12:00:01+01:00",
        )
        assert (told["label"], told["camera_id"]) == (answer["labels"][0]["label"], "north")
    with listening(service, headers=service.key("read", cameras=NORTH), after=0) as events:
        assert next(events)[2]["action"] == told


def test_only_labels_that_are_wanted_and_sure_become_events(service, doings):
    best = recognise(service, clip())["labels"][0]
    other = {"calm": "wild", "wild": "calm"}[best["label"]]
    for fields in ({"labels": other}, {"min_score": 1.0}):
        assert recognise(service, clip(), camera_id="north", **fields)["events"] == []
    assert len(recognise(service, clip(), camera_id="north", labels=f"x, {best['label']}")["events"]) == 1


def test_the_same_request_is_news_once(service, doings):
    headers = {"Idempotency-Key": "once"}
    one, two = (recognise(service, clip(), headers=headers, camera_id="north", min_score=0) for _ in range(2))
    assert one == two
    recognise(service, clip(frames=5), 409, headers, camera_id="north", min_score=0)


def test_news_need_a_key_that_may_enrol_for_this_camera(service, doings):
    recognise(service, clip(), headers=service.key("read"))
    recognise(service, clip(), 403, service.key("read"), camera_id="north")
    recognise(service, clip(), 403, service.key("read", "enrol", cameras=NORTH), camera_id="south")
    recognise(service, clip(), headers=service.key("read", "enrol", cameras=NORTH), camera_id="north")


def test_what_cannot_be_recognised_is_refused(service, doings, glasses):
    for name in ("nothing", "glasses", "tiny", ".."):
        assert recognise(service, clip(), 404, bundle=name)["code"] == "not_found"
    recognise(service, clip(), 422, windows="some")
    recognise(service, clip(), 422, colour="red")
    two = [("file", clip()), ("file", clip())]
    assert service.client.post("/v1/actions", files=two).status_code == 422
    assert service.client.post("/v1/actions", json={"images": []}).status_code == 415
    assert recognise(service, b"no clip", 415)["code"] == "clip_format"


def test_hostile_clips_leave_the_service_as_it_was(service, doings):
    def memory_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    expected = recognise(service, clip())["labels"]
    corpus, statuses, resident = list(fuzzed()), set(), []
    assert len(corpus) >= 60
    for number, (name, data) in enumerate(corpus):
        answer = service.client.post("/v1/actions", files={"file": data}, data={"bundle": "doings"})
        assert answer.status_code in (200, 415, 422), (name, answer.text)
        statuses.add(answer.status_code)
        if number % 20 == 19:
            resident.append(memory_mb())
    assert statuses == {200, 415, 422}
    assert resident[-1] - resident[0] < 64, resident
    assert service.core.actions.admission.images == 0
    assert recognise(service, clip())["labels"] == expected


def test_a_clip_whose_turn_to_be_decoded_does_not_come_in_time_is_answered_so(tmp_path, embedder, monkeypatch):
    busy, free = threading.Semaphore(0), threading.Event()

    def decode(*_, **__):
        busy.release()
        assert free.wait(DEADLINE_S)
        raise ClipError("expected a clip that decodes, got none")

    monkeypatch.setattr(ActionRecognizer, "decode", decode)
    with serving(Settings(home=tmp_path / "home", deadline_s=1), embedder) as service:
        write_doings(service.core.settings.home / "models" / "doings")
        service.core.actions.load("doings")
        with ThreadPoolExecutor(available_processors()) as pool:
            held = [pool.submit(recognise, service, clip(), 422, bundle="doings") for _ in range(pool._max_workers)]
            try:
                assert all(busy.acquire(timeout=DEADLINE_S) for _ in held)
                assert recognise(service, clip(), 504, bundle="doings")["code"] == "deadline"
            finally:
                free.set()
            assert {answer.result()["code"] for answer in held} == {"clip"}
