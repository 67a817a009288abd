"""One redis-server for all tests of this folder that do not break it, and one of its own for each that does."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from service.gallery.filters import Filter
from service.gallery.gallery import Gallery
from service.gallery.redis.address import RedisAddress
from tests.redis_server import RedisServer, running_redis
from tests.service.gallery.conftest import EVERYONE, reopen_gallery

OpenGallery = Callable[..., Gallery]


def ids(gallery: Gallery) -> list[str]:
    with gallery.reading(EVERYONE) as reading:
        return [sighting.sighting_id for sighting in reading.sightings(Filter(), 0, 10_000).records]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def replica(server: RedisServer, tmp_path: Path) -> Iterator[OpenGallery]:
    """Opens a service's gallery over the server, by the name of its home; all are closed at the end."""
    with ExitStack() as opened:

        def open_one(name: str, address: RedisAddress | None = None) -> Gallery:
            gallery = reopen_gallery(tmp_path / name, address or server.address())
            opened.callback(gallery.close)
            return gallery

        yield open_one
