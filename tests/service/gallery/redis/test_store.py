"""Several services over one gallery in Redis: what one was told is kept, all have."""

import sqlite3
from contextlib import ExitStack

import pytest

from service.gallery.errors import StoreError
from service.gallery.filters import Filter
from service.gallery.redis.store import _READERS
from tests.service.gallery.conftest import EVERYONE, crop, fields, found, looking_like, wait_until


def test_what_one_acknowledged_another_finds_at_once_with_its_change(replica):
    one, other = replica("one"), replica("other")
    for text in "abc":
        written = one.enrol(EVERYONE, [crop(text)], fields("ada", "north"))
        other.wait_for(written.change)
        assert found(other, looking_like(text), top_k=1) == [written.value[0].sighting_id]
        assert other.crop(EVERYONE, written.value[0].sighting_id) == crop(text).jpeg
    assert other.sightings_indexed == 3


def test_without_a_change_it_is_found_soon(replica):
    one, other = replica("one"), replica("other")
    (sighting,) = one.enrol(EVERYONE, [crop("a")], fields()).value
    wait_until(lambda: found(other, looking_like("a")) == [sighting.sighting_id])


def test_it_is_there_after_redis_was_killed(server, replica):
    gallery = replica("one")
    (sighting,) = gallery.enrol(EVERYONE, [crop("a")], fields("ada")).value
    gallery.close()
    server.restart()
    again = replica("another")
    assert found(again, looking_like("a")) == [sighting.sighting_id]
    with again.reading(EVERYONE) as reading:
        assert [one.sighting_id for one in reading.sightings(Filter(), 0, 9).records] == [sighting.sighting_id]


def test_who_comes_after_the_end_is_refused_and_does_not_wait(replica):
    gallery = replica("one")
    gallery.enrol(EVERYONE, [crop("a")], fields("ada"))
    gallery.close()
    for late in (lambda: gallery.enrol(EVERYONE, [crop("b")], fields()), lambda: found(gallery, looking_like("a"))):
        with pytest.raises(StoreError, match="got one that was closed"):
            late()


def test_reads_that_a_failing_disk_ends_take_no_place_from_others(replica):
    gallery = replica("one")
    (sighting,) = gallery.enrol(EVERYONE, [crop("a")], fields("ada")).value

    def read_in_vain() -> None:
        with gallery.reading(EVERYONE) as reading:
            reading.connection.execute("ROLLBACK")  # SQLite does so itself
            raise sqlite3.OperationalError("disk I/O error")

    for _ in range(_READERS + 1):
        with pytest.raises(StoreError, match="cannot be read: disk I/O error"):
            read_in_vain()
    assert found(gallery, looking_like("a")) == [sighting.sighting_id]


def test_who_finds_no_place_to_read_is_refused_in_time(replica, monkeypatch):
    monkeypatch.setattr("service.gallery.redis.store._WRITER_S", 0.05)
    gallery = replica("one")
    with ExitStack() as reading:
        for _ in range(_READERS):
            reading.enter_context(gallery.reading(EVERYONE))
        with pytest.raises(StoreError, match="got no turn among all who read"), gallery.reading(EVERYONE):
            pass
    with gallery.reading(EVERYONE):
        pass
