"""What the console shows as it happens, and clips."""

import re

import pytest
from playwright.sync_api import expect

from tests.clips.corpus import clip
from tests.console.acts import send_clip
from tests.console.conftest import HOSTILE


def test_what_happens_is_seen_as_it_happens(console):
    console.sign_in()
    console.show("Live")
    console.page.get_by_text("Listening").wait_for()
    console.service.client.post(
        "/v1/sightings", files={"file": console.queries[3]}, data={"camera_id": "yard"}
    ).raise_for_status()
    card = console.page.locator(".card")
    expect(card).to_contain_text("yard")
    expect(card).to_contain_text("Unknown person")
    console.page.get_by_label("Only camera").fill("gate")
    expect(card).to_be_hidden()
    console.page.get_by_label("Only camera").fill("yard")
    expect(card).to_be_visible()


def test_an_action_is_told_live_and_leads_to_its_clip(console, playable):
    page = console.page
    console.sign_in()
    console.show("Live")
    page.get_by_text("Listening").wait_for()
    send_clip(console, playable, HOSTILE)
    told = page.get_by_text("Told as an event")
    expect(told.first).to_contain_text(f"on {HOSTILE}.")
    number = told.count()
    console.show("Live")
    card = page.locator(".card.action").filter(has_text=HOSTILE)
    expect(card).to_have_count(number)
    card.first.get_by_role("link", name="See the clip").click()
    page.locator("video").wait_for()
    assert page.locator("img[src=x]").count() == 0


def test_a_clip_plays_over_its_scores_in_time(console, playable):
    page = console.page
    console.sign_in()
    send_clip(console, b"no clip")
    refused = console.service.client.post("/v1/actions", files={"file": b"no clip"}, data={"bundle": "doings"})
    expect(page.get_by_role("alert").filter(has_text=refused.json()["detail"])).to_be_visible()
    send_clip(console, playable)
    asked = {"bundle": "doings", "windows": "dense"}
    answer = console.service.client.post("/v1/actions", files={"file": playable}, data=asked).json()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(1 + len(answer["windows"]))
    best = answer["labels"][0]["label"]
    for row, window in zip(rows.all()[1:], answer["windows"], strict=True):
        score = next(one["score"] for one in window["labels"] if one["label"] == best)
        expect(row.get_by_role("cell").first).to_have_text(f"{100 * score:.1f}".removesuffix(".0") + " %")
    expect(page.locator("polyline")).to_have_count(2)
    video = page.locator("video")
    page.wait_for_function("document.querySelector('video').readyState > 0")
    assert video.evaluate("video => [video.videoWidth, video.videoHeight]") == [64, 48]
    rows.nth(2).get_by_role("button").click()
    assert video.evaluate("video => video.currentTime") == pytest.approx(answer["windows"][1]["start_s"])
    page.wait_for_function("document.querySelector('.mark').getAttribute('x1') > 0")
    send_clip(console, clip())
    page.get_by_text("The browser cannot play this clip (mpeg4)").wait_for()


def test_how_the_service_is_doing_is_told_as_far_as_the_key_goes(console):
    page = console.page
    console.sign_in()
    console.show("Live")
    health = page.get_by_role("region", name="Health and queue")
    expect(health).to_contain_text("a power cut")
    expect(health).to_contain_text(re.compile(r"Images that wait\s*0"))
    page.get_by_role("button", name="Sign out").click()
    console.key = console.service.key("read")["X-API-Key"]
    console.sign_in()
    console.show("Live")
    expect(health).to_contain_text("only a key with the scope admin sees it")
