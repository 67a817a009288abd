"""What holds for all pages of the console: whom they let in, hostile names, a phone, whoever cannot see."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from service.routes import console as routes
from tests.console.acts import enrolled, given, send_clip
from tests.console.conftest import HOSTILE, PHONE_WH, Console

PAGES = ("people", "unknown", "person/drawn-1", "live", "clips", "evaluations", "models")


def fits(console: Console) -> bool:
    """Whether nothing sticks out to the side."""
    return console.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def faults(console: Console) -> list[tuple[str, list[str]]]:
    """The rules that axe sees broken, and where."""
    found = Axe().run(console.page).response["violations"]
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]


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


def test_where_no_key_is_needed_none_is_asked_for(open_service, browser):
    page = browser.new_page()
    page.goto(str(open_service.client.base_url))
    page.get_by_role("heading", name="Where else was this person?").wait_for()
    assert page.get_by_role("button", name="Sign out").count() == 0
    page.get_by_role("link", name="People").click()
    page.get_by_text("Nobody is enrolled yet").wait_for()
    page.close()


def test_an_address_that_leads_nowhere_says_so(console):
    console.sign_in()
    for hash_ in ("person/%", "nothing", "constructor"):
        console.page.goto(f"{console.url}/#{hash_}")
        console.page.get_by_text("There is no such page").wait_for()
    console.page.goto(f"{console.url}/#person/nobody")
    refused = console.service.get("/v1/persons/nobody", expect=404)["detail"]
    expect(console.page.get_by_role("alert").filter(has_text=refused)).to_be_visible()


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
    enrolled(console, None, 1, camera_id=HOSTILE, tracklet_id=HOSTILE)
    page.goto(f"{console.url}/#unknown")
    expect(page.locator(".card").filter(has_text=HOSTILE)).to_be_visible()
    page.goto(f"{console.url}/#person/drawn-1")
    page.get_by_role("button", name="Split").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"would stay with {HOSTILE}.")
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name=HOSTILE)).to_be_visible()
    expect(page.locator("pre")).to_contain_text(HOSTILE)
    assert page.locator("img[src=x], main i").count() == 0


def test_a_phone_needs_no_scrolling_to_the_side(console, playable):
    console.page.set_viewport_size({"width": PHONE_WH[0], "height": PHONE_WH[1]})
    console.sign_in()
    given(console, 1)
    assert fits(console)
    for hash_ in PAGES:
        console.page.goto(f"{console.url}/#{hash_}")
        console.page.locator(".card, .visit, .empty").first.wait_for()
        assert fits(console), hash_
    send_clip(console, playable)
    console.page.locator("video").wait_for()
    assert fits(console)


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
def test_axe_finds_no_fault_with_any_page(console, playable, scheme):
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
    for hash_ in PAGES:
        page.goto(f"{console.url}/#{hash_}")
        page.locator(".card, .visit, .empty").first.wait_for()
        assert faults(console) == [], hash_
    send_clip(console, playable)
    page.locator("video").wait_for()
    assert faults(console) == []
    page.goto(f"{console.url}/#person/drawn-2")
    for name in ("Split …", "Merge …", "Erase …"):
        page.get_by_role("button", name=name).click()
        page.get_by_role("dialog").wait_for()
        assert faults(console) == [], name
        page.keyboard.press("Escape")
