"""The congruence suite with every search in Milvus Lite, over both stores. More cases: `make test-scale`."""

import importlib.util
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from service.gallery.gallery import Gallery
from tests.redis_server import RedisServer
from tests.service.gallery.conftest import MEMORY, reopen_gallery
from tests.service.gallery.milvus.conftest import LITE
from tests.service.gallery.redis.test_congruence import OverRedis
from tests.service.gallery.test_congruence import Congruence

EXAMPLES = int(os.environ.get("SCALE_EXAMPLES", "2"))
SLOW = settings(max_examples=EXAMPLES, stateful_step_count=20, suppress_health_check=list(HealthCheck))
pytestmark = [
    pytest.mark.usefixtures("_all_in_milvus"),
    pytest.mark.skipif(importlib.util.find_spec("milvus_lite") is None, reason="milvus-lite is not installed"),
]


class OverSqlite(Congruence):
    def open(self) -> Gallery:
        return reopen_gallery(self.home, index_address=LITE)


class OverRedisToo(OverRedis):
    def open(self) -> Gallery:
        self.name = getattr(self, "name", self.home.name)
        return reopen_gallery(self.home, self.server.address(self.name), LITE)


def test_over_sqlite_the_answers_are_those_of_the_slow_gallery():
    run_state_machine_as_test(OverSqlite, settings=SLOW)


def test_over_redis_too():
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        server = RedisServer(Path(folder))
        try:
            run_state_machine_as_test(type("Case", (OverRedisToo,), {"server": server}), settings=SLOW)
        finally:
            server.stop()
