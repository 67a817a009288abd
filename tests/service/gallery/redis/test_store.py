"""Several services over one gallery in Redis: what one was told is kept, all have."""

import pytest

from service.gallery.errors import StoreError
from service.gallery.filters import Filter
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
