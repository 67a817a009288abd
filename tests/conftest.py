"""What every test may ask for: a tiny real bundle, generated people, and the research data where it is at hand."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

# A suite that a shell began in the background would have its children ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

for _name in [name for name in os.environ if name.startswith("REID_") and name != "REID_DATASETS"]:
    del os.environ[_name]  # a developer's own service, and above all its gallery, is none of the tests' business

from reid import threads

threads.configure()

import numpy as np
import pytest
import torch
from hypothesis import settings

from reid.datasets.generated import write_market_folder
from reid.datasets.market1501 import Market1501, dataset_root, read_market1501
from reid.errors import DatasetError
from reid.evaluation.calibration import Calibration, calibrate
from reid.evaluation.labels import PeopleLabels
from reid.kinds import EMBEDDING
from reid.networks.embedding import EmbeddingArguments, EmbeddingNetwork
from reid.predictors.device import OPENVINO
from reid.transforms import PreprocessConfig
from tests.untrained import write_untrained

settings.register_profile("house", deadline=None)  # no test checks a duration
settings.load_profile("house")


@pytest.fixture(scope="session", autouse=True)
def _auto_is_torch() -> Iterator[None]:
    """In this process `auto` leaves OpenVINO to those who say it: to convert a network, however tiny, takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("embedder", "action"):
            patch.setattr(f"reid.predictors.{module}.runs_on_openvino", lambda device: device == OPENVINO)
        yield


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle folder with an untrained 32-d ResNet-18 for 64 × 32 crops, calibrated on random vectors."""
    return write_tiny(tmp_path_factory.mktemp("bundles") / "tiny")


def write_tiny(folder: Path, seed: int = 0) -> Path:
    """Write what :func:`tiny_bundle` is to `folder`; each seed has other weights, and so another id."""
    torch.manual_seed(seed)
    arguments = EmbeddingArguments(backbone="resnet18", last_stride=1, head="linear", embedding_size=32)
    preprocess = PreprocessConfig(height_px=64, width_px=32)
    network = EmbeddingNetwork(arguments)
    return write_untrained(folder, EMBEDDING.name, arguments, network, preprocess, calibration=random_calibration())


def random_calibration() -> Calibration:
    """Of random directions in 32 dimensions: a real table with an obvious shape."""
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(400, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = PeopleLabels(1 + np.arange(400) % 100, 1 + np.arange(400) // 200)
    return calibrate(vectors[:200], vectors[200:], labels[:200], labels[200:], domain="random vectors")


@pytest.fixture(scope="session")
def generated_market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small folder of generated people in Market-1501's layout."""
    root = tmp_path_factory.mktemp("generated")
    write_market_folder(root, train_people=8, test_people=6, cameras=2, per_camera=3, size_hw=(64, 32))
    return root


@pytest.fixture(scope="session")
def datasets() -> Path:
    """The folder of real data, or a counted skip where REID_DATASETS does not name one."""
    folder = os.environ.get("REID_DATASETS")
    if folder is None:
        pytest.skip("REID_DATASETS is not set: real data is not at hand")
    return Path(folder)


@pytest.fixture(scope="session")
def person_detector(datasets: Path) -> Path:
    """A real detector's file, or a counted skip where it does not lie beside the real data."""
    files = sorted((datasets.parent / "weights" / "pedestrian-detection-adas-0002").rglob("*.xml"))
    if not files:
        pytest.skip("no weights of pedestrian-detection-adas-0002 beside REID_DATASETS")
    return files[0]


@pytest.fixture(scope="session")
def market1501(datasets: Path) -> Market1501:
    """All of Market-1501, or a counted skip where REID_DATASETS does not hold it."""
    try:
        return read_market1501(dataset_root(datasets))
    except DatasetError as error:
        pytest.skip(f"Market-1501 is not at hand: {error}")
