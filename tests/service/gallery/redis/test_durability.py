"""What Redis must be to keep what it acknowledged: refused with less, also while a service runs."""

import pytest

from service.check import faults
from service.gallery.errors import HomeError, StoreError
from service.gallery.redis.address import RedisAddress
from service.settings import Settings
from tests.service.gallery.conftest import EVERYONE, crop, fields, wait_until
from tests.service.gallery.redis.conftest import ids


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"appendonly": "no"}, "appendonly no"),
        ({"appendfsync": "everysec"}, "appendfsync everysec; REID_REDIS_FSYNC"),
        ({"maxmemory-policy": "allkeys-lru"}, "noeviction, got allkeys-lru"),
    ],
)
def test_a_redis_that_would_lose_what_it_holds_is_refused(server, replica, options, message):
    for name, value in options.items():
        server.client.config_set(name, value)
    with pytest.raises(HomeError, match=message):
        replica("one")


def test_a_check_finds_a_redis_that_would_lose_what_it_holds(server, tmp_path):
    settings = Settings(home=tmp_path, store=server.address().url, auth="off")
    assert faults(settings) == []
    server.client.config_set("appendfsync", "no")
    assert "appendfsync no" in " ".join(faults(settings))
    server.kill()
    assert "does not answer" in " ".join(faults(settings))


def test_a_redis_that_is_made_weaker_is_not_written_to_until_it_is_mended(server, replica):
    gallery = replica("one")
    before = gallery.enrol(EVERYONE, [crop("a")], fields()).value[0].sighting_id
    server.client.config_set("appendfsync", "everysec")
    wait_until(lambda: gallery.store.failure is not None)
    with pytest.raises(StoreError, match="appendfsync always, got appendonly yes and appendfsync everysec"):
        gallery.enrol(EVERYONE, [crop("b")], fields())
    with pytest.raises(StoreError, match="appendfsync always"):
        gallery.probe()
    assert ids(gallery) == [before]
    server.client.config_set("appendfsync", "always")
    wait_until(lambda: gallery.store.failure is None)
    gallery.enrol(EVERYONE, [crop("b")], fields())
    gallery.probe()


def test_less_is_accepted_where_it_is_said_and_then_said_again(server, replica):
    server.client.config_set("appendfsync", "everysec")
    gallery = replica("one", RedisAddress(server.address().url, fsync="everysec"))
    assert "last second" in gallery.store.durability
