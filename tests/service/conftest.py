"""A real service for each test: a gallery in a temporary folder, behind uvicorn, asked over HTTP."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from reid.clips.preprocess import ClipPreprocess
from reid.kinds import ACTION, CLASSIFIER
from reid.networks.action import ActionArguments, ActionNetwork
from reid.networks.classifier import ClassifierArguments, ClassifierNetwork
from reid.predictors import Embedder
from reid.transforms import PreprocessConfig
from service.core import Core
from service.gallery.sqlite.keys import add_key
from service.gallery.stores import open_keys
from service.keys import SCOPES, new_key
from service.server import Server, listen
from service.settings import Settings
from tests.service.gallery.conftest import DEADLINE_S, wait_until
from tests.service.receiver import Receiver, receiving
from tests.untrained import write_untrained


@dataclass
class Service:
    """A running service and the one who asks it."""

    core: Core
    client: httpx.Client

    def key(self, *scopes: str, cameras: frozenset[str] | None = None) -> dict[str, str]:
        """Headers with a new key of these scopes."""
        kept, text = new_key("", frozenset(scopes), cameras)
        with open_keys(self.core.settings.store_address) as connection:
            add_key(connection, kept)
        return {"X-API-Key": text}

    def enrol(self, *seeds: int, expect: int = 201, headers=None, **fields: str) -> dict:
        """Enrol the crops of these seeds; the answer."""
        files = [("file", (f"{seed}.png", crop(seed))) for seed in seeds]
        answer = self.client.post("/v1/sightings", files=files, data=fields, headers=headers)
        assert answer.status_code == expect, answer.text
        return answer.json()

    def search(self, expect: int = 200, headers=None, **body) -> dict:
        """Search with a JSON body; the answer."""
        answer = self.client.post("/v1/search", json=body, headers=headers)
        assert answer.status_code == expect, answer.text
        return answer.json()

    def get(self, path: str, expect: int = 200, headers=None, **query) -> dict:
        """Get a path; the answer."""
        answer = self.client.get(path, params=query, headers=headers)
        assert answer.status_code == expect, answer.text
        return answer.json()


def crop(seed: int, size: tuple[int, int] = (64, 32)) -> bytes:
    """A PNG of coarse blocks that no other seed has."""
    blocks = np.random.default_rng(seed).integers(0, 255, (4, 2, 3), dtype=np.uint8)
    image = Image.fromarray(blocks).resize((size[1], size[0]), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def embedder(tiny_bundle: Path) -> Embedder:
    return Embedder.load(tiny_bundle, "cpu")


@contextmanager
def serving(settings: Settings, embedder: Embedder) -> Iterator[Service]:
    core = Core.over(settings, embedder)
    listening = listen("127.0.0.1", 0)
    server = Server(core)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        port = listening.getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=DEADLINE_S, trust_env=False) as client:
            service = Service(core, client)
            if settings.auth == "keys":
                client.headers.update(service.key(*SCOPES))
            yield service
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
        core.close()


@pytest.fixture
def service(tmp_path: Path, embedder: Embedder, tiny_bundle: Path) -> Iterator[Service]:
    """A service with keys; its client holds one with every scope."""
    settings = Settings(home=tmp_path / "home", bundle=str(tiny_bundle), max_body_bytes=2**21)
    with serving(settings, embedder) as running:
        yield running


@pytest.fixture
def open_service(tmp_path: Path, embedder: Embedder) -> Iterator[Service]:
    """A service without keys, with REID_AUTH=off."""
    with serving(Settings(home=tmp_path / "home", auth="off"), embedder) as running:
        yield running


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder) -> Iterator[Service]:
    """One service for all the tests of a file that ask for things to be refused and leave nothing behind."""
    home = tmp_path_factory.mktemp("shared") / "home"
    with serving(Settings(home=home, max_body_bytes=2**21), embedder) as running:
        running.enrol(0, person_id="ada", camera_id="north")
        yield running


@pytest.fixture
def doings(service: Service) -> Path:
    """An action bundle with random weights in the service's own folder of models."""
    return write_doings(service.core.settings.home / "models" / "doings")


def write_doings(folder: Path) -> Path:
    """Write a bundle of an untrained action network of two labels, for windows of four frames."""
    torch.manual_seed(0)
    arguments = ActionArguments("tf_efficientnet_lite0", num_labels=2, head="motion")
    network = ActionNetwork(arguments)
    torch.nn.init.normal_(network.head.linear.weight, std=0.3)
    preprocess = ClipPreprocess(height_px=32, width_px=32, policy="uniform", num_frames=4)
    return write_untrained(folder, ACTION.name, arguments, network, preprocess, labels=("calm", "wild"))


@pytest.fixture
def glasses(service: Service) -> Path:
    """A classifier with random weights in the service's own folder of models."""
    return write_glasses(service.core.settings.home / "models" / "glasses")


def write_glasses(folder: Path) -> Path:
    """Write a bundle of an untrained classifier of two labels."""
    torch.manual_seed(0)
    arguments = ClassifierArguments(architecture="conv_nn_2", num_labels=2)
    preprocess = PreprocessConfig(height_px=30, width_px=32, mean=(0.5,), std=(0.5,), flip_average=False)
    network = ClassifierNetwork(arguments)
    return write_untrained(folder, CLASSIFIER.name, arguments, network, preprocess, labels=("open", "sunglasses"))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """What webhooks may call."""
    with receiving() as listening:
        yield listening
