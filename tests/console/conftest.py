"""A real service with generated people, and a real browser that looks at its console."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from reid.datasets.generated import generate_crops
from reid.images import encode_crop
from reid.predictors import Embedder
from service.keys import SCOPES
from service.settings import Settings
from tests.clips.corpus import clip
from tests.conftest import write_tiny
from tests.detection.conftest import write_detector
from tests.service.conftest import Service, serving, write_doings

PEOPLE, CAMERAS = 6, 3
DESKTOP_WH, PHONE_WH = (1280, 800), (390, 844)
FOUND = [(0.0, 1.0, 0.7, 0.1, 0.1, 0.3, 0.9), (0.0, 1.0, 0.9, 0.5, 0.2, 0.8, 1.0)]  # in every frame, as fractions of it
HOSTILE = "<img src=x onerror=alert(1)>"
expect.set_options(timeout=60_000)  # a machine may be busy
_BEGINNING = datetime(2026, 1, 5, 9, tzinfo=UTC)
QUIET = (
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
        self.page.get_by_role("heading", level=1).wait_for()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, without a window. Of a module: while Playwright runs, its event loop is this thread's."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium is installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=list(QUIET))
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def embedder(tiny_bundle: Path) -> Embedder:
    return Embedder.load(tiny_bundle, "cpu")


@pytest.fixture(scope="module")
def populated(
    tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path, embedder: Embedder
) -> Iterator[tuple[Service, dict[int, bytes]]]:
    """One service for the file: people of several cameras, a detector, an action bundle, another embedding bundle.

    Tests that change people make some of their own.
    """
    folder = tmp_path_factory.mktemp("console")
    write_tiny(folder / "home" / "models" / "other", seed=1)
    write_doings(folder / "home" / "models" / "doings")
    detector = write_detector(folder / "detector.onnx", FOUND)
    settings = Settings(home=folder / "home", bundle=str(tiny_bundle), detector=str(detector), device="cpu")
    with serving(settings, embedder) as service:
        yield service, enrol_people(service)


@pytest.fixture
def console(populated: tuple[Service, dict[int, bytes]], browser: Browser) -> Iterator[Console]:
    """A console over that service. Whatever the browser complains of fails the test."""
    service, queries = populated
    with watched_page(browser) as page:
        yield Console(service, service.key(*SCOPES)["X-API-Key"], page, str(service.client.base_url), queries)


@contextmanager
def watched_page(browser: Browser) -> Iterator[Page]:
    """A page of a browser that holds nothing yet; at its end nothing may have been complained of."""
    page = browser.new_page(viewport={"width": DESKTOP_WH[0], "height": DESKTOP_WH[1]})
    page.set_default_timeout(60_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.extend(complaint(message)))
    yield page
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


@pytest.fixture(scope="module")
def playable() -> bytes:
    """A clip that any Chromium plays."""
    return clip(codec="libvpx", container="webm", frames=11)


@pytest.fixture
def open_service(tmp_path: Path, embedder: Embedder) -> Iterator[Service]:
    """A service that asks for no key."""
    with serving(Settings(home=tmp_path / "home", auth="off"), embedder) as service:
        yield service
