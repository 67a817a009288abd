"""The congruence suite over Redis: one service, and two that take turns. More cases: `make test-scale`."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from service.gallery.gallery import Gallery
from service.gallery.redis.address import RedisAddress
from tests.redis_server import RedisServer
from tests.service.gallery.conftest import MEMORY, reopen_gallery
from tests.service.gallery.test_congruence import Congruence

EXAMPLES = int(os.environ.get("SCALE_EXAMPLES", "4"))
SLOW = settings(
    max_examples=EXAMPLES,
    stateful_step_count=20,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def shared_server() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        running = RedisServer(Path(folder))
        yield running
        running.stop()


class OverRedis(Congruence):
    """A crash is one of Redis, under the service and for the service as well."""

    server: RedisServer

    def open(self) -> Gallery:
        self.name = getattr(self, "name", uuid4().hex)
        return reopen_gallery(self.home, self.address())

    def address(self) -> RedisAddress:
        return self.server.address(self.name)

    def leave_as_if_killed(self) -> None:
        self.server.kill()
        self.close()
        self.server.start()

    def kept(self) -> set[bytes]:
        return {self.server.client.get(key) for key in self.server.client.scan_iter(f"reid:{{{self.name}}}:crop:*")}

    def teardown(self) -> None:
        super().teardown()
        self.server.client.flushall()


class OverTwoServices(OverRedis):
    """Each step is taken by the one that did not take the last; both then give the same answers."""

    def open(self) -> Gallery:
        self.other_home = self.home / "other"
        first = super().open()
        self.other = reopen_gallery(self.other_home, self.address())
        return first

    def close(self) -> None:
        self.gallery.close()
        self.other.close()

    @invariant()
    def the_other_takes_over(self) -> None:
        change = self.gallery.change
        self.gallery, self.other = self.other, self.gallery
        self.gallery.wait_for(change)
        self.gallery.store.write(lambda _: None)  # what has no change number is followed, too


class WithASharedFolder(OverTwoServices):
    """The crops are files that both see."""

    def address(self) -> RedisAddress:
        return self.server.address(self.name, self.home / "shared")

    def kept(self) -> set[bytes]:
        return {path.read_bytes() for path in (self.home / "shared").rglob("*.jpg")}


@pytest.mark.parametrize("machine", [OverRedis, OverTwoServices, WithASharedFolder])
def test_the_answers_are_those_of_the_slow_gallery(machine, shared_server):
    run_state_machine_as_test(type(machine.__name__, (machine,), {"server": shared_server}), settings=SLOW)
