"""Searching by image in the console."""

import base64
import io
import json
import re

from PIL import Image
from playwright.sync_api import Route, expect

from tests.console.acts import enrolled, given
from tests.console.conftest import Console


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
