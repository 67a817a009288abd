"""The console as an operator uses it, in Chromium."""

import base64
import hashlib
import io
import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Route, expect

from service.gallery.sqlite.writing import Writing
from service.routes import console as routes
from tests.clips.corpus import clip
from tests.console.conftest import HOSTILE, PEOPLE, PHONE_WH, Console, watched_page

PAGES = ("people", "unknown", "person/drawn-1", "live", "clips", "evaluations", "models")


def given(console: Console, pid: int) -> None:
    """Pick the query image of a person and search."""
    query = {"name": "query.jpg", "mimeType": "image/jpeg", "buffer": console.queries[pid]}
    console.page.get_by_label("choose files").set_input_files(query)
    console.page.get_by_role("button", name="Search", exact=True).click()
    console.page.get_by_text(re.compile(r"match(es)? of")).wait_for()


def enrolled(console: Console, person_id: str | None, number: int, **fields: str) -> list[str]:
    """Enrol crops of generated people on camera c9; their sightings."""
    images = [console.queries[1 + index % PEOPLE] for index in range(number)]
    named = {"camera_id": "c9"} | ({} if person_id is None else {"person_id": person_id}) | fields
    answer = console.service.client.post(
        "/v1/sightings", files=[("file", (f"{index}.jpg", image)) for index, image in enumerate(images)], data=named
    )
    return [one["sighting_id"] for one in answer.raise_for_status().json()["sightings"]]


def dropped(console: Console, event: str, **images: bytes) -> None:
    """Drop or paste images, as the browser tells a page of it."""
    given = [[name, base64.b64encode(image).decode()] for name, image in images.items()]
    console.page.evaluate(
        """([event, given]) => {
            const carried = new DataTransfer();
            for (const [name, image] of given) {
                const bytes = Uint8Array.from(atob(image), (one) => one.charCodeAt(0));
                carried.items.add(new File([bytes], name, { type: "image/jpeg" }));
            }
            const told = event === "paste" ? { clipboardData: carried } : { dataTransfer: carried };
            const Kind = event === "paste" ? ClipboardEvent : DragEvent;
            const place = document.querySelector(".drop");
            place.dispatchEvent(new Kind(event, { ...told, bubbles: true, cancelable: true }));
        }""",
        [event, given],
    )


def send_clip(console: Console, data: bytes, camera: str = "") -> None:
    """Go to the clips, and have what happens in one recognised."""
    page = console.page
    page.goto(f"{console.url}/#clips")
    page.get_by_role("option", name="doings").wait_for(state="attached")
    page.get_by_label("Bundle").select_option("doings")
    page.get_by_label("Clip", exact=True).set_input_files(
        {"name": "clip.webm", "mimeType": "video/webm", "buffer": data}
    )
    page.get_by_label("Camera").fill(camera)
    page.get_by_role("button", name="Recognise").click()


@pytest.fixture(scope="module")
def playable() -> bytes:
    """A clip that any Chromium plays."""
    return clip(codec="libvpx", container="webm", frames=11)


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
    page.get_by_role("link", name="drawn-1").wait_for()
    assert page.get_by_role("link", name="ada").count() == 0


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
    expect(page.locator(".summary")).to_contain_text(f"of {answer['searched']} sightings")
    console.show("People")
    page.get_by_role("link", name="drawn-2").click()
    expect(page.locator(".visit .camera")).to_have_text(["c3", "c2", "c1"])
    expect(page.locator(".gap")).to_have_text(["20 min earlier", "20 min earlier"])
    expect(page.get_by_role("button", name="Show earlier ones")).to_be_hidden()


def short_pages(console, of: int) -> None:
    """Have the lists of sightings answered in pages of so few."""
    page = console.page
    page.route(
        re.compile(r"/v1/sightings\?"),
        lambda route: route.continue_(url=re.sub(r"limit=\d+", f"limit={of}", route.request.url)),
    )


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


def test_images_are_dropped_and_pasted_and_make_one_query(console):
    page = console.page
    console.sign_in()
    dropped(console, "drop", one=console.queries[2], two=console.queries[3])
    expect(page.locator(".shelf img")).to_have_count(2)
    dropped(console, "paste", three=console.queries[4])
    expect(page.locator(".shelf img")).to_have_count(3)
    page.locator(".shelf li").first.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Search", exact=True).click()
    asked = [("file", console.queries[3]), ("file", console.queries[4])]
    (best, *_) = console.service.client.post("/v1/search", files=asked).json()["results"][0]["matches"]
    expect(page.locator(".results .card dd").first).to_have_text(f"{best['score']:.3f}")


def test_in_a_dropped_frame_the_people_found_are_offered(console):
    page = console.page
    detections: list[Route] = []
    page.route("**/v1/detections", lambda route: detections.append(route))
    console.sign_in()
    frame = Image.open(io.BytesIO(console.queries[4])).resize((120, 80))
    buffer = io.BytesIO()
    frame.save(buffer, "JPEG")
    with page.expect_request("**/v1/detections"):
        dropped(console, "drop", frame=buffer.getvalue())
    dialog = page.get_by_role("dialog")
    expect(page.get_by_label("Right")).to_have_value("120")
    drawn_on = page.locator(".frame").bounding_box()
    (asked,) = detections
    asked.continue_()
    expect(dialog).to_contain_text("The detector found 2 people")
    assert page.locator(".frame").bounding_box() == drawn_on  # whoever is drawing already draws on the same place
    dialog.get_by_role("button", name="Person 2 (70 %)").click()
    for side, pixels in {"Left": "12", "Top": "8", "Right": "36", "Bottom": "72"}.items():
        expect(page.get_by_label(side)).to_have_value(pixels)
    shown = page.locator(".frame").bounding_box()
    page.mouse.click(shown["x"] + 0.65 * shown["width"], shown["y"] + 0.5 * shown["height"])
    for side, pixels in {"Left": "60", "Top": "16", "Right": "96", "Bottom": "80"}.items():
        expect(page.get_by_label(side)).to_have_value(pixels)
    page.get_by_role("button", name="Use the box").click()
    dialog.wait_for(state="detached")
    image = page.locator(".shelf img")
    size = image.evaluate("image => image.decode().then(() => [image.naturalWidth, image.naturalHeight])")
    assert size == [36, 64]


def test_filters_hold_before_the_best_are_taken(console):
    page = console.page
    (one,) = enrolled(console, "filtered", 1, camera_id="door", tags="staff", captured_at="2020-02-01T12:00:00+00:00")
    path = f"/v1/sightings/{one}/attributes"
    console.service.client.put(path, json={"attributes": {"sunglasses": "open"}}).raise_for_status()
    console.sign_in()
    page.get_by_label("At most").fill("1")
    card = page.locator(".results .card")
    filters = {"Cameras": "door", "Tags": "staff", "Attributes": "sunglasses=open", "Until": "2021-01-01T00:00:00"}
    given(console, 5)
    expect(card).not_to_contain_text("filtered")
    for label, value in filters.items():
        page.get_by_label(label, exact=True).fill(value)
        page.get_by_role("button", name="Search", exact=True).click()
        expect(card).to_contain_text("filtered")
        page.get_by_label(label, exact=True).fill("")
        page.get_by_role("button", name="Search", exact=True).click()
        expect(card).not_to_contain_text("filtered")
    page.get_by_label("Attributes").fill("sunglasses")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text(re.compile("expected attributes such as .* got sunglasses"))


def test_by_keyboard_alone_somebody_is_searched_and_confirmed(console):
    page = console.page
    (one,) = enrolled(console, None, 1, camera_id="stairs")
    page.on("filechooser", lambda _: None)  # from the first listener on choosers are caught, and that takes a moment
    console.sign_in()

    def tab_to(name: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("e => (e = document.activeElement, e.labels?.[0] ?? e).textContent.trim()") == name:
                return
        raise AssertionError(f"Tab does not lead to {name}")

    tab_to("choose files")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files({"name": "query.jpg", "mimeType": "image/jpeg", "buffer": console.queries[1]})
    page.locator(".shelf img").wait_for()
    tab_to("Cameras")
    page.keyboard.type("stairs")
    page.keyboard.press("Enter")
    page.locator(".results .card").wait_for()
    tab_to("This is …")
    page.keyboard.press("Enter")
    page.keyboard.type("climber")
    page.keyboard.press("Enter")
    expect(page.locator(".results .card")).to_contain_text("Assigned to climber")
    assert console.service.get(f"/v1/sightings/{one}")["person_id"] == "climber"


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


def test_another_bundle_is_put_in_force_compared_and_taken_back(console):
    page = console.page
    console.sign_in()
    console.show("Models")
    in_force = page.locator(".card").filter(has=page.get_by_text("In force", exact=True))
    expect(in_force).to_contain_text("tiny")
    models = {one["name"]: one for one in console.service.get("/v1/models")["models"]}
    page.get_by_label("One", exact=True).select_option(models["fights"]["bundle_id"])
    page.get_by_label("Another", exact=True).select_option(models["sunglasses"]["bundle_id"])
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="Accuracy", exact=True))
    figures = [models[name]["metrics"]["accuracy"] for name in ("fights", "sunglasses")]
    expect(row.get_by_role("cell")).to_have_text([f"{one:.4f}" for one in (*figures, figures[1] - figures[0])])
    page.get_by_text("Not measured on the same").wait_for()
    page.locator(".card").filter(has=page.get_by_role("heading", name="other")).get_by_role("button").click()
    page.get_by_role("dialog").get_by_role("button", name="Put in force").click()
    expect(page.get_by_role("status")).to_have_text("Change of the bundle: done.")
    expect(in_force).to_contain_text("other")
    assert console.service.get("/v1/models")["models"][0]["name"] == "other"
    page.get_by_role("button", name="Back to tiny …").click()
    page.get_by_role("dialog").get_by_role("button", name="Go back").click()
    expect(in_force).to_contain_text("tiny")
    assert console.service.get("/v1/models")["models"][0]["name"] == "tiny"


def test_an_evaluation_runs_and_its_calibration_is_put_in_force(console):
    page = console.page
    console.sign_in()
    console.show("Evaluation")
    page.get_by_label("Measured on").fill(HOSTILE)
    page.get_by_role("button", name="Evaluate").click()
    card = page.locator(".card").filter(has=page.get_by_role("heading", name=HOSTILE))
    expect(card).to_contain_text("Rank-1")
    with page.expect_popup() as opened:
        card.get_by_role("link", name="Open the report").click()
    expect(opened.value.get_by_role("heading", level=1)).to_contain_text(HOSTILE)
    opened.value.close()
    card.get_by_role("button", name="Calibrate with it").click()
    page.get_by_text("Its calibration is in force").wait_for()
    assert console.service.get("/v1/calibration")["domain"] == HOSTILE
    page.get_by_role("button", name="Back to the bundle's own").click()
    expect(page.locator("dl.wide")).to_contain_text("random vectors")
    assert console.service.get("/v1/calibration")["source"] == "bundle"
    card.get_by_role("button", name="Forget").click()
    expect(card).to_have_count(0)


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


def faults(console: Console) -> list[tuple[str, list[str]]]:
    """The rules that axe sees broken, and where."""
    found = Axe().run(console.page).response["violations"]
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]
