"""A real service with generated people, and a real browser that looks at its console."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from reid.datasets.generated import generate_crops
from reid.images import encode_crop
from reid.predictors import Embedder
from service.keys import SCOPES
from service.settings import Settings
from tests.service.conftest import Service, serving

PEOPLE, CAMERAS = 6, 3
DESKTOP_WH, PHONE_WH = (1280, 800), (390, 844)
HOSTILE = "<img src=x onerror=alert(1)>"
_BEGINNING = datetime(2026, 1, 5, 9, tzinfo=UTC)
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@dataclass
class Console:
    """A service, a key to it, a page of its console, and the JPEG crops that no one enrolled, by person."""

    service: Service
    key: str
    page: Page
    url: str
    queries: dict[int, bytes]

    def sign_in(self) -> None:
        """Open the console and sign in."""
        self.page.goto(self.url)
        self.page.get_by_label("API key").fill(self.key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("heading", name="Where else was this person?").wait_for()

    def show(self, name: str) -> None:
        """Go to a page by its link."""
        self.page.get_by_role("navigation").get_by_role("link", name=name).click()
        self.page.get_by_role("heading", name=name).wait_for()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, without a window. Of a module: while Playwright runs, its event loop is this thread's."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium is installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=list(_QUIET))
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def embedder(tiny_bundle: Path) -> Embedder:
    return Embedder.load(tiny_bundle, "cpu")


@pytest.fixture
def console(tmp_path: Path, embedder: Embedder, browser: Browser) -> Iterator[Console]:
    """A console over people of several cameras. Whatever the browser complains of fails the test."""
    with serving(Settings(home=tmp_path / "home"), embedder) as service:
        queries = enrol_people(service)
        page = browser.new_page(viewport={"width": DESKTOP_WH[0], "height": DESKTOP_WH[1]})
        page.set_default_timeout(60_000)
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.extend(complaint(message)))
        url = str(service.client.base_url)
        yield Console(service, service.key(*SCOPES)["X-API-Key"], page, url, queries)
        page.close()
        assert complaints == []


def complaint(message: ConsoleMessage) -> list[str]:
    """What the browser says is wrong, except that the interface refused something: the page says so itself."""
    url = message.location["url"]
    refused = message.text.startswith("Failed to load resource") and "/v1/" in url and not url.endswith("/thumbnail")
    return [message.text] if message.type in ("error", "warning") and not refused else []


def enrol_people(service: Service) -> dict[int, bytes]:
    """Enrol two crops of each person on each camera; a third of each on camera 1, for queries."""
    queries = {}
    for crop in generate_crops(PEOPLE, CAMERAS, 3):
        image = encode_crop(crop.image)
        if crop.index == 2:
            if crop.camid == 1:
                queries[crop.pid] = image
            continue
        fields = {
            "person_id": f"drawn-{crop.pid}",
            "camera_id": f"c{crop.camid}",
            "captured_at": (
                _BEGINNING + timedelta(minutes=9 * crop.pid + 20 * crop.camid, seconds=crop.index)
            ).isoformat(),
        }
        answer = service.client.post("/v1/sightings", files={"file": image}, data=fields)
        assert answer.status_code == 201, answer.text
    return queries


@pytest.fixture
def open_service(tmp_path: Path, embedder: Embedder) -> Iterator[Service]:
    """A service that asks for no key."""
    with serving(Settings(home=tmp_path / "home", auth="off"), embedder) as service:
        yield service
