"""The console's people: whoever was found is confirmed, followed, named, merged, split and erased."""

import hashlib
import re

from playwright.sync_api import expect

from service.gallery.sqlite.writing import Writing
from tests.console.acts import enrolled, given
from tests.console.conftest import watched_page


def short_pages(console, of: int) -> None:
    """Have the lists of sightings answered in pages of so few."""
    page = console.page
    page.route(
        re.compile(r"/v1/sightings\?"),
        lambda route: route.continue_(url=re.sub(r"limit=\d+", f"limit={of}", route.request.url)),
    )


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
    page.get_by_role("link", name="drawn-1").wait_for()
    assert page.get_by_role("link", name="ada").count() == 0


def test_a_timeline_goes_on_to_what_was_earlier(console):
    page = console.page
    short_pages(console, 3)  # two visits of two: the second is cut in two by the page's end
    console.sign_in()
    page.goto(f"{console.url}/#person/drawn-3")
    expect(page.locator(".visit .quiet")).to_have_text(["2 sightings", "1 sighting"])
    page.get_by_role("button", name="Show earlier ones").click()
    expect(page.locator(".visit .camera")).to_have_text(["c3", "c2", "c1"])
    expect(page.locator(".visit .quiet")).to_have_text(["2 sightings"] * 3)
    expect(page.locator(".gap")).to_have_text(["20 min earlier", "20 min earlier"])
    expect(page.get_by_role("button", name="Show earlier ones")).to_be_hidden()


def test_two_people_become_one_and_get_a_name(console):
    page = console.page
    console.sign_in()
    enrolled(console, "left", 3)
    enrolled(console, "right", 2)
    page.goto(f"{console.url}/#person/left")
    page.get_by_role("button", name="Merge").click()
    page.get_by_label("Id of the other person").fill("nobody")
    page.get_by_role("button", name="Show what would move").click()
    refused = console.service.get("/v1/persons/nobody", expect=404)["detail"]
    expect(page.get_by_role("alert").filter(has_text=refused)).to_be_visible()
    page.get_by_label("Id of the other person").fill("right")
    page.get_by_role("button", name="Show what would move").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("2 sightings of right would go over to left.")
    expect(dialog.get_by_role("img")).to_have_count(2)
    assert console.service.get("/v1/persons/left")["sightings"] == 3
    dialog.get_by_role("button", name="Merge", exact=True).click()
    dialog.wait_for(state="detached")
    assert console.service.get("/v1/persons/left")["sightings"] == 5
    page.get_by_role("button", name="Name …").click()
    page.get_by_role("textbox", name="Name").fill("Grace")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Grace")).to_be_visible()


def test_a_person_who_is_two_is_split_after_a_look_at_what_would_move(console):
    page = console.page
    enrolled(console, "both", 3)
    console.sign_in()
    page.goto(f"{console.url}/#person/both")
    page.get_by_role("button", name="Split …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("status")).to_have_text("0 sightings would move to a new person; 3 would stay with both.")
    dialog.get_by_role("button", name="Split").click()
    expect(dialog.get_by_role("alert")).to_contain_text("choose at least one")
    dialog.get_by_role("checkbox").nth(1).check()
    dialog.get_by_label("Id of that person").fill("second")
    expect(dialog.get_by_role("status")).to_have_text("1 sighting would move to second; 2 would stay with both.")
    dialog.get_by_role("button", name="Split").click()
    dialog.wait_for(state="detached")
    assert [console.service.get(f"/v1/persons/{one}")["sightings"] for one in ("both", "second")] == [2, 1]


def test_a_dialog_does_not_outlive_its_page(console):
    page = console.page
    console.sign_in()
    page.goto(f"{console.url}/#person/drawn-2")
    page.get_by_role("button", name="Erase …").click()
    page.get_by_role("dialog").wait_for()
    page.go_back()
    page.get_by_role("heading", name="Where else was this person?").wait_for()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert console.service.get("/v1/persons/drawn-2")["sightings"] == 6


def test_the_list_of_unknown_people_goes_on(console):
    page = console.page
    enrolled(console, None, 3, tracklet_id="long", camera_id="attic")
    enrolled(console, None, 2, tracklet_id="next", camera_id="cellar")
    short_pages(console, 2)  # the first tracklet is cut in two by a page's end
    console.sign_in()
    page.goto(f"{console.url}/#unknown")
    attic, cellar = (page.locator(".card").filter(has_text=camera) for camera in ("attic", "cellar"))
    more = page.get_by_role("button", name="Show more")
    unknown = console.service.get("/v1/sightings", known=False)["sightings"]
    for _ in range((len(unknown) - 1) // 2):
        with page.expect_response(re.compile(r"/v1/sightings\?")):
            more.click()
    expect(more).to_be_hidden()
    expect(attic).to_contain_text("3 sightings")
    expect(attic.get_by_role("img")).to_have_count(3)
    expect(cellar).to_contain_text("2 sightings")


def test_unknown_people_have_a_list_of_their_own_and_a_tracklet_is_named_at_once(console):
    page = console.page
    first = enrolled(console, None, 3, tracklet_id="walk", camera_id="hall")
    console.sign_in()
    console.show("People")
    page.get_by_role("link", name="Unknown people to name").click()
    card = page.locator(".card").filter(has_text="hall")
    expect(card).to_contain_text("3 sightings")
    expect(page.locator(".card").filter(has_text="drawn")).to_have_count(0)
    card.get_by_role("button", name="This is").click()
    page.get_by_label("Person id").fill("walker")
    page.get_by_role("button", name="Assign").click()
    expect(card).to_contain_text("Assigned to walker")
    assert {console.service.get(f"/v1/sightings/{one}")["person_id"] for one in first} == {"walker"}


def test_ten_thousand_people_leave_the_page_small(open_service, browser):
    people = 10_000

    def add_all(writing: Writing) -> None:
        for number in range(people):
            writing.add_person(f"p-{number:05}", None, (), {})

    open_service.core.gallery.store.write(add_all)
    with watched_page(browser) as page:
        page.goto(f"{open_service.client.base_url}/#people")
        page.get_by_role("link", name="p-00000").wait_for()
        most = page.wait_for_function(
            """last => {
                globalThis.most = Math.max(globalThis.most ?? 0, document.querySelectorAll("*").length);
                scrollTo(0, document.body.scrollHeight);
                return document.querySelector(".people li:last-child a").textContent === last && globalThis.most;
            }""",
            arg=f"p-{people - 1:05}",
        )
        assert most.json_value() < 500
        last = page.locator(".people li").last
        assert last.evaluate("item => [item.ariaPosInSet, item.ariaSetSize]") == [str(people)] * 2
        page.evaluate("scrollTo(0, 0)")
        page.get_by_role("link", name="p-00000").wait_for()
        assert page.evaluate("document.querySelectorAll('*').length") < 500
