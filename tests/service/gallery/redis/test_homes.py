"""One service for each home: a copy of one is refused, and what another says under its name stays."""

from contextlib import suppress

import pytest

from service.gallery.errors import DamageError, HomeError
from service.gallery.redis.link import Link
from tests.service.gallery.conftest import EVERYONE, crop, fields, wait_until
from tests.service.gallery.redis.conftest import ids


def test_a_copy_of_a_home_is_refused_while_its_service_is_heard(replica, monkeypatch, tmp_path):
    """And has nothing of the gallery on its disk meanwhile: no erasure waits for it."""
    monkeypatch.setattr("service.gallery.redis.store.LEASE_S", 0.5)
    one = replica("one")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "home-id").write_text(one.store.home_id)
    loaded, all_rows = [], Link.all_rows
    monkeypatch.setattr(Link, "all_rows", lambda link, table: loaded.append(table) or all_rows(link, table))
    with pytest.raises(HomeError, match="expected a REID_HOME of its own, got a copy"):
        replica("copy")
    assert "sightings" not in loaded
    one.enrol(EVERYONE, [crop("a")], fields())
    one.close()
    assert len(ids(replica("copy"))) == 1
    with pytest.raises(HomeError, match="got a copy"):
        replica("one")


def test_a_home_whose_service_was_killed_elsewhere_is_served_once_that_is_not_heard(server, replica, monkeypatch):
    monkeypatch.setattr("service.gallery.redis.store.LEASE_S", 0.5)
    one = replica("one")
    home_id, now_s = one.store.home_id, server.client.time()[0]
    one.close()
    server.client.hset("reid:{reid}:services", home_id, f"1 {now_s} 1 {16 * 'f'}")
    replica("one").enrol(EVERYONE, [crop("a")], fields())


def test_a_service_whose_name_another_took_answers_nothing_and_leaves_the_others_word(server, replica):
    one = replica("one")
    elsewhere = f"1 {server.client.time()[0] + 60} 1 {16 * 'f'}"
    server.client.hset("reid:{reid}:services", one.store.home_id, elsewhere)
    with suppress(DamageError):
        wait_until(lambda: ids(one) is None)  # until it is refused
    with pytest.raises(DamageError, match="got a copy of one that another service uses"):
        one.enrol(EVERYONE, [crop("a")], fields())
    one.close()
    assert server.client.hget("reid:{reid}:services", one.store.home_id) == elsewhere.encode()
