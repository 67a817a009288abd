"""A Milvus of its own for each test that breaks it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.gallery.gallery import Gallery
from service.gallery.milvus.address import MilvusAddress
from tests.milvus_server import MilvusServer
from tests.service.gallery.conftest import wait_until


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MilvusServer]:
    running = MilvusServer(tmp_path / "milvus")
    yield running
    running.kill()


@pytest.fixture
def _all_in_milvus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search waits until Milvus has everything, instead of scoring the rest itself."""
    monkeypatch.setattr("service.gallery.milvus.index.MOST_FRESH", 0)


def wait_until_followed(gallery: Gallery) -> None:
    wait_until(lambda: gallery._active.index.is_followed)


LITE = MilvusAddress()
