"""What an operator does in the console, for several tests."""

import re

from tests.console.conftest import PEOPLE, Console


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
