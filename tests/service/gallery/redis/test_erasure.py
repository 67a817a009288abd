"""Erased means gone: from Redis and its files, from every service over it, and from what those keep."""

import time
from functools import partial

import numpy as np
import pytest

from service.gallery.errors import NotFoundError, StoreError
from service.gallery.records import Moment, Once, RetentionRule
from service.gallery.sqlite import jobs
from tests.service.gallery.conftest import EVERYONE, crop, fields, files, found, looking_like, wait_until

NAME, TAG, NOTE = "Ursula-the-erased", "left-handed-violinist", "lives-by-the-canal"


def enrol_ursula(gallery):
    once = Once("k" * 64, "b" * 64, lambda value, change: f"{NOTE} answered")
    gallery.add_person(EVERYONE, NAME, NAME, (TAG,), {"note": NOTE})
    sighting = gallery.enrol(EVERYONE, [crop("u")], fields(NAME, "north", tags=(TAG,)), once).value[0]
    gallery.enrol(EVERYONE, [crop("other")], fields("bob", "north"))
    gallery.store.write(lambda w: jobs.add_job(w, EVERYONE, "evaluate", "read", {"who": NAME}, [NAME], "job"))
    return sighting


def traces(folder) -> set[str]:
    """Which of what was kept of Ursula is in any file."""
    everything = b"".join(files(folder).values())
    kept = {
        "name": NAME.encode(),
        "tag": TAG.encode(),
        "note": NOTE.encode(),
        "crop": crop("u").jpeg,
        "vector": crop("u").embedding.astype("<f2").tobytes(),
    }
    return {what for what, data in kept.items() if data in everything}


def test_every_byte_is_gone_from_both_files_of_redis_and_from_both_services(server, replica, tmp_path):
    one, other = replica("one"), replica("other")
    sighting = enrol_ursula(one)
    server.client.save()
    other.wait_for(one.change)
    assert traces(server.folder) == {"name", "tag", "note", "crop", "vector"}  # in the log and in the snapshot
    with one.reading(EVERYONE) as reading:
        rows = np.array([sighting.row], np.int64)
        assert len(reading.vectors(rows, one.bundle_id, one.dimension)[0]) == 1

    written = one.erase_person(EVERYONE, NAME)

    assert written.pending == ()
    assert written.value.completed_at is not None
    assert traces(tmp_path) == set()
    with pytest.raises(NotFoundError):
        other.crop(EVERYONE, sighting.sighting_id)
    assert sighting.sighting_id not in found(other, looking_like("u"))
    assert found(other, looking_like("other"))


def test_an_export_on_another_service_goes_with_the_person(replica, tmp_path):
    one, other = replica("one"), replica("other")
    enrol_ursula(one)
    with other.archives.writing("job-2") as file:
        file.write(crop("u").jpeg)
    assert one.erase_person(EVERYONE, NAME).pending == ()
    assert traces(tmp_path) == set()


def test_it_is_pending_while_another_service_cannot_let_go_of_an_export(replica, tmp_path, monkeypatch):
    monkeypatch.setattr("service.gallery.erasures.PATIENCE_S", 0.0)
    one, other = replica("one"), replica("other")
    enrol_ursula(one)
    with other.archives.writing("job-2") as file:
        file.write(crop("u").jpeg)
    remove_all, tries = other.archives.remove_all, []
    other.archives.remove_all = lambda: bool(tries.append("refused"))
    assert one.erase_person(EVERYONE, NAME).pending == ("database",)
    wait_until(lambda: len(tries) > 3)
    assert one.erase_person(EVERYONE, NAME).value.completed_at is None
    other.archives.remove_all = remove_all
    wait_until(lambda: one.pending == ())
    assert traces(tmp_path) == set()


def test_it_is_pending_until_every_service_has_followed(server, replica, monkeypatch):
    monkeypatch.setattr("service.gallery.erasures.PATIENCE_S", 0.0)
    one, other, third = (replica(name) for name in ("one", "other", "third"))
    enrol_ursula(one)
    other.wait_for(one.change)
    other._store._next_look_s = time.monotonic() + 3600  # it looks no more
    written = one.erase_person(EVERYONE, NAME)
    assert written.pending == ("database",)
    assert written.value.completed_at is None
    third.wait_for(written.change)
    asked = third.erase_person(EVERYONE, NAME)
    assert (asked.value.receipt_id, asked.pending) == (written.value.receipt_id, ("database",))  # not its own to do
    other._store._next_look_s = 0.0
    other._store.look_soon()
    wait_until(lambda: one.pending == ())
    assert one.erase_person(EVERYONE, NAME).value.completed_at is not None
    assert traces(server.folder) == set()


def test_what_one_cannot_finish_the_next_erasure_of_another_does(server, replica, monkeypatch):
    monkeypatch.setattr("service.gallery.erasures.PATIENCE_S", 0.0)
    one, other = replica("one"), replica("other")
    enrol_ursula(one)
    other.wait_for(one.change)
    other._store._link.rewrite_log = partial(refuse, "no memory to fork")
    assert other.erase_person(EVERYONE, NAME).value.completed_at is None
    one.wait_for(other.change)
    one.erase_person(EVERYONE, "bob")
    wait_until(lambda: one.pending == ())
    assert one.erase_person(EVERYONE, NAME).value.completed_at is not None
    assert traces(server.folder) == set()


def test_what_a_service_could_not_finish_the_next_start_does(server, replica, monkeypatch):
    monkeypatch.setattr("service.gallery.erasures.PATIENCE_S", 0.0)
    gallery = replica("one")
    enrol_ursula(gallery)
    gallery._store._link.rewrite_log = partial(refuse, "no memory to fork")
    assert gallery.erase_person(EVERYONE, NAME).pending == ("database",)
    gallery.close()
    assert traces(server.folder) == {"name", "tag", "note", "crop", "vector"}
    again = replica("another")
    wait_until(lambda: again.pending == ())
    wait_until(lambda: traces(server.folder) == set())


def test_retention_leaves_nothing_either(server, replica):
    gallery = replica("one")
    enrol_ursula(gallery)
    gallery.set_retention(EVERYONE, [RetentionRule(60)])
    assert gallery.apply_retention(Moment.now()).value == 2
    assert "crop" not in traces(server.folder)
    assert "vector" not in traces(server.folder)


def refuse(reason: str) -> None:
    raise StoreError(reason)
