"""Draw the README's picture of the console anew: `python -m tests.console.picture`. Nobody in it is real."""

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from service.child import running_service
from service.demo.__main__ import enrol
from service.demo.people import DemoPeople, generated_people
from tests.console.conftest import DESKTOP_WH, QUIET

PICTURE = Path(__file__).parents[2] / "docs" / "results" / "console.png"
WHO, SHOWN = "drawn-0004", 4


def main() -> None:
    """A gallery of drawn people, calibrated on itself; a search for one of them on the other cameras."""
    with tempfile.TemporaryDirectory() as folder:
        home, log = Path(folder) / "home", Path(folder) / "service.log"
        with running_service(home, log, settings={"REID_AUTH": "off"}) as service, sync_playwright() as playwright:
            people = generated_people()
            enrol(service.client, people.sightings, service.client.get("/readyz").json()["bundle_id"])
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(QUIET))
            page = browser.new_page(viewport={"width": DESKTOP_WH[0], "height": DESKTOP_WH[1]})
            calibrate(page, service.url)
            search(page, service.url, people)
            page.screenshot(path=PICTURE, full_page=True)
            browser.close()


def calibrate(page: Page, url: str) -> None:
    """Measure how far these people's scores are to be trusted, and say so from now on."""
    page.goto(f"{url}/#evaluations")
    page.get_by_role("button", name="Evaluate").click()
    page.get_by_role("button", name="Calibrate with it").click()
    page.get_by_text("Its calibration is in force").wait_for()


def search(page: Page, url: str, people: DemoPeople) -> None:
    """Ask where else one of them was."""
    (query,) = [one for one in people.queries if one.person_id == WHO]
    page.goto(f"{url}/#search")
    page.get_by_label("choose files").set_input_files(
        {"name": "query.jpg", "mimeType": "image/jpeg", "buffer": query.image}
    )
    page.get_by_label("Not on cameras").fill(query.camera_id)
    page.get_by_label("At most").fill(str(SHOWN))
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".results .card")).to_have_count(SHOWN)
    for image in page.locator(".results img").all():
        image.evaluate("image => image.decode()")


if __name__ == "__main__":
    main()
