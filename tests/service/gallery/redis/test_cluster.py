"""A gallery in a Redis Cluster of three nodes: all of it on one of them, which may be killed like any Redis."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from redis.crc import key_slot

from service.gallery.errors import StoreError
from service.gallery.redis.address import RedisAddress
from tests.redis_server import RedisServer
from tests.service.gallery.conftest import EVERYONE, MEMORY, crop, fields, found, looking_like, reopen_gallery
from tests.service.gallery.redis.test_congruence import EXAMPLES, SLOW, OverRedis
from tests.service.gallery.redis.test_faults import once

FEW = settings(SLOW, max_examples=max(1, EXAMPLES // 10))  # a node that was killed is let back in after seconds
CLUSTER = {"cluster-enabled": "yes", "cluster-node-timeout": "2000", "cluster-require-full-coverage": "no"}


class Cluster:
    """What a test does to one server, done to the node that has the gallery, or to all."""

    def __init__(self, nodes: list[RedisServer]) -> None:
        self.nodes = nodes
        nodes[0].join(nodes[1:])

    def address(self, gallery: str = "reid") -> RedisAddress:
        return RedisAddress(f"redis://127.0.0.1:{self.nodes[0].port}", gallery, cluster=True)

    def owner(self, gallery: str) -> RedisServer:
        slot = key_slot(f"reid:{{{gallery}}}:head".encode())  # which a node that was killed could not say
        return self.nodes[min(slot // (16_384 // len(self.nodes)), len(self.nodes) - 1)]


class OverACluster(OverRedis):
    cluster: Cluster

    @property
    def server(self) -> "Cluster | RedisServer":
        return self.cluster.owner(self.name)

    def leave_as_if_killed(self) -> None:
        super().leave_as_if_killed()
        RedisServer.wait_for_cluster(self.cluster.nodes)

    def open(self):
        self.name = getattr(self, "name", self.home.name.replace("_", "-"))
        return reopen_gallery(self.home, self.cluster.address(self.name))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder, ExitStack() as running:
        nodes = []
        for name in ("a", "b", "c"):
            home = Path(folder) / name
            home.mkdir()
            nodes.append(RedisServer(home, **CLUSTER))
            running.callback(nodes[-1].stop)
        yield Cluster(nodes)


def test_the_answers_are_those_of_the_slow_gallery(cluster):
    run_state_machine_as_test(type("OverACluster", (OverACluster,), {"cluster": cluster}), settings=FEW)


def test_a_gallery_is_on_one_node_and_an_erasure_reaches_its_files(cluster, tmp_path):
    gallery = reopen_gallery(tmp_path, cluster.address("yard"))
    gallery.enrol(EVERYONE, [crop("erased in a cluster")], fields("ada"))
    keys = {node.port: node.client.keys("reid:{yard}:*") for node in cluster.nodes}
    assert [port for port, some in keys.items() if some] == [cluster.owner("yard").port]
    assert gallery.erase_person(EVERYONE, "ada").pending == ()
    files = [path.read_bytes() for path in cluster.owner("yard").folder.rglob("*") if path.is_file()]
    assert files
    assert not any(crop("erased in a cluster").jpeg in data for data in files)
    gallery.close()


def test_a_node_killed_in_mid_write_loses_and_doubles_nothing(cluster, tmp_path):
    gallery = reopen_gallery(tmp_path, cluster.address("street"))
    ids = []
    for number in range(60):
        if number % 20 == 10:
            cluster.owner("street").restart()
        while True:
            try:
                written = gallery.enrol(EVERYONE, [crop(f"{number}")], fields(), once(f"{number}"))
                break
            except StoreError:
                continue
        ids.append(written.replay or written.value[0].sighting_id)
    assert len(set(ids)) == 60 == gallery.sightings_indexed
    assert found(gallery, looking_like("7"), top_k=1) == [ids[7]]
    gallery.close()
    again = reopen_gallery(tmp_path, cluster.address("street"))
    assert again.sightings_indexed == 60
    again.close()
