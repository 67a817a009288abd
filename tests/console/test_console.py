"""The console as an operator uses it, in Chromium."""

import hashlib
import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from service.routes import console as routes
from tests.console.conftest import CAMERAS, HOSTILE, PEOPLE, PHONE_WH, Console


def given(console: Console, pid: int) -> None:
    """Pick the query image of a person and search."""
    query = {"name": "query.jpg", "mimeType": "image/jpeg", "buffer": console.queries[pid]}
    console.page.get_by_label("choose files").set_input_files(query)
    console.page.get_by_role("button", name="Search", exact=True).click()
    console.page.get_by_text(re.compile(r"match(es)? of")).wait_for()


def fits(console: Console) -> bool:
    """Whether nothing sticks out to the side."""
    return console.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_whom_it_finds_is_confirmed_followed_and_erased(console):
    page = console.page
    console.service.client.post(
        "/v1/sightings", files={"file": console.queries[1]}, data={"camera_id": "gate"}
    ).raise_for_status()
    console.sign_in()
    page.get_by_label("Cameras", exact=True).fill("gate")
    given(console, 1)
    (card,) = page.locator(".results .card").all()
    expect(card).to_contain_text("Unknown person")
    expect(card).to_contain_text("gate")
    assert card.locator("dd").first.inner_text() == "1.000"
    card.get_by_role("button", name="This is").click()
    page.get_by_label("Person id").fill("ada")
    page.get_by_role("button", name="Assign").click()
    expect(card).to_contain_text("Assigned to ada")
    assert console.service.get("/v1/persons/ada")["sightings"] == 1

    card.get_by_role("link", name="ada").click()
    expect(page.get_by_role("heading", name="ada")).to_be_visible()
    expect(page.locator(".visit .camera")).to_have_text(["gate"])
    crop = page.locator(".visit img")
    assert crop.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0

    page.get_by_role("button", name="Erase").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert console.service.get("/v1/persons/ada")["sightings"] == 1
    page.get_by_role("button", name="Erase").click()
    page.get_by_role("dialog").get_by_role("button", name="Erase").click()
    receipt = page.get_by_role("dialog", name="Erased")
    expect(receipt).to_contain_text(hashlib.sha256(b"ada").hexdigest())
    console.service.get("/v1/persons/ada", expect=404)
    receipt.get_by_role("button", name="To the people").click()
    expect(page.locator(".people .card")).to_have_count(PEOPLE)


def test_a_search_by_image_says_how_sure_it_is_and_a_timeline_orders_the_cameras(console):
    page = console.page
    console.sign_in()
    given(console, 2)
    answer = console.service.client.post(
        "/v1/search", files={"file": console.queries[2]}, data={"query": json.dumps({"top_k": 24})}
    ).json()["results"][0]
    cards = page.locator(".results .card")
    assert cards.count() == len(answer["matches"])
    for card, match in zip(cards.all(), answer["matches"], strict=True):
        expect(card).to_contain_text(match["person_id"])
        expect(card).to_contain_text(f"{match['score']:.3f}")
    expect(page.locator(".summary")).to_contain_text("Expected false matches")
    expect(page.locator(".summary")).to_contain_text(console.service.get("/v1/calibration")["domain"])
    expect(page.locator(".summary")).to_contain_text(f"of {PEOPLE * CAMERAS * 2} sightings")
    console.show("People")
    page.get_by_role("link", name="drawn-2").click()
    expect(page.locator(".visit .camera")).to_have_text(["c1", "c2", "c3"])
    expect(page.locator(".gap")).to_have_text(["20 min later", "20 min later"])


def test_two_people_become_one_and_get_a_name(console):
    page = console.page
    console.sign_in()
    page.goto(f"{console.url}/#person/drawn-1")
    page.get_by_role("button", name="Merge").click()
    page.get_by_label("Id of the other person").fill("nobody")
    page.get_by_role("button", name="Merge", exact=True).click()
    refused = console.service.client.post("/v1/persons/drawn-1/merge", json={"other_id": "nobody"}).json()
    expect(page.get_by_role("alert").filter(has_text=refused["detail"])).to_be_visible()
    page.get_by_label("Id of the other person").fill("drawn-2")
    page.get_by_role("button", name="Merge", exact=True).click()
    page.get_by_role("dialog").wait_for(state="detached")
    assert console.service.get("/v1/persons/drawn-1")["sightings"] == 2 * CAMERAS * 2
    page.get_by_role("button", name="Name …").click()
    page.get_by_role("textbox", name="Name").fill("Grace")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Grace")).to_be_visible()


def test_what_happens_is_seen_as_it_happens(console):
    console.sign_in()
    console.show("Live")
    console.page.get_by_text("Listening").wait_for()
    console.service.client.post(
        "/v1/sightings", files={"file": console.queries[3]}, data={"camera_id": "yard"}
    ).raise_for_status()
    expect(console.page.locator(".card")).to_contain_text("yard")
    expect(console.page.locator(".card")).to_contain_text("Unknown person")


def test_a_box_drawn_on_a_frame_is_what_is_asked_for(console):
    page = console.page
    console.sign_in()
    page.get_by_label("choose files").set_input_files(
        {"name": "frame.jpg", "mimeType": "image/jpeg", "buffer": console.queries[4]}
    )
    page.get_by_role("button", name="Draw a box").click()
    frame = page.locator(".frame")
    expect(page.get_by_label("Right")).to_have_value("64")
    box = frame.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"])
    page.mouse.up()
    for side, pixels in {"Left": "16", "Top": "32", "Right": "32", "Bottom": "128"}.items():
        expect(page.get_by_label(side)).to_have_value(pixels)  # the browser hands moves on with its next frame
    page.get_by_role("button", name="Use the box").click()
    page.get_by_role("dialog").wait_for(state="detached")
    image = page.locator(".shelf img")
    size = image.evaluate("image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])")
    assert size == [16, 96]


def test_hostile_names_stay_text(console):
    page, client = console.page, console.service.client
    hostile = {"name": HOSTILE, "tags": [HOSTILE], "metadata": {HOSTILE: HOSTILE}}
    client.patch("/v1/persons/drawn-1", json=hostile).raise_for_status()
    client.post(
        "/v1/sightings", files={"file": console.queries[1]}, data={"camera_id": HOSTILE, "person_id": 'a"b<i>?#%41'}
    ).raise_for_status()
    console.sign_in()
    given(console, 1)
    expect(page.locator(".results")).to_contain_text(HOSTILE)
    console.show("People")
    expect(page.locator(".people")).to_contain_text(HOSTILE)
    page.get_by_role("link", name='a"b<i>?#%41').click()
    expect(page.locator(".visit")).to_contain_text(HOSTILE)
    page.goto(f"{console.url}/#person/drawn-1")
    expect(page.get_by_role("heading", name=HOSTILE)).to_be_visible()
    expect(page.locator("pre")).to_contain_text(HOSTILE)
    assert page.locator("img[src=x], main i").count() == 0


def test_a_key_is_asked_for_once_and_kept_nowhere_that_a_script_can_read(console):
    page = console.page
    page.goto(console.url)
    page.get_by_label("API key").fill("reid_none_none")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("expected an API key in force")
    console.sign_in()
    assert page.evaluate("document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)") == "{}{}"
    assert console.key not in page.url
    page.reload()
    page.get_by_role("heading", name="Where else was this person?").wait_for()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    page.reload()
    expect(page.get_by_label("API key")).to_be_visible()


def test_an_address_that_leads_nowhere_says_so(console):
    console.sign_in()
    for hash_ in ("person/%", "nothing", "constructor"):
        console.page.goto(f"{console.url}/#{hash_}")
        console.page.get_by_text("There is no such page").wait_for()
    console.page.goto(f"{console.url}/#person/nobody")
    refused = console.service.get("/v1/persons/nobody", expect=404)["detail"]
    expect(console.page.get_by_role("alert").filter(has_text=refused)).to_be_visible()


def test_where_no_key_is_needed_none_is_asked_for(open_service, browser):
    page = browser.new_page()
    page.goto(str(open_service.client.base_url))
    page.get_by_role("heading", name="Where else was this person?").wait_for()
    assert page.get_by_role("button", name="Sign out").count() == 0
    page.get_by_role("link", name="People").click()
    page.get_by_text("Nobody is enrolled yet").wait_for()
    page.close()


def test_a_phone_needs_no_scrolling_to_the_side(console):
    console.page.set_viewport_size({"width": PHONE_WH[0], "height": PHONE_WH[1]})
    console.sign_in()
    given(console, 1)
    assert fits(console)
    for hash_ in ("people", "person/drawn-1", "live"):
        console.page.goto(f"{console.url}/#{hash_}")
        console.page.get_by_role("heading", level=1).wait_for()
        assert fits(console), hash_


def test_files_are_served_with_their_types_and_a_strict_policy_and_no_others_are(open_service):
    for name in ("/", *(f"/console/{name}" for name in routes._FILES)):
        answer = open_service.client.get(name)
        assert answer.status_code == 200
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert re.search(r"https?://(?!www\.w3\.org)", answer.text) is None
    assert open_service.client.get("/console/main.js").headers["content-type"].startswith("text/javascript")
    for name in ("nothing.js", "%2e%2e%2fapp.py", "__init__.py"):
        assert open_service.client.get(f"/console/{name}").status_code == 404


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_with_any_page(console, scheme):
    page = console.page
    page.emulate_media(color_scheme=scheme)
    page.goto(console.url)
    page.get_by_label("API key").wait_for()
    assert faults(console) == []
    console.sign_in()
    given(console, 1)
    assert faults(console) == []
    page.get_by_role("button", name="Draw a box").click()
    assert faults(console) == []
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    for hash_ in ("people", "person/drawn-1", "live"):
        page.goto(f"{console.url}/#{hash_}")
        page.locator(".card, .visit, .empty").first.wait_for()
        assert faults(console) == [], hash_


def faults(console: Console) -> list[tuple[str, list[str]]]:
    """The rules that axe sees broken, and where."""
    found = Axe().run(console.page).response["violations"]
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]
