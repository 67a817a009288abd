"""Erased means gone: from Redis and its files, from every service over it, and from what those keep."""

import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from service.gallery.errors import NotFoundError, StoreError
from service.gallery.expiry import _delete_expired
from service.gallery.records import Moment, Once, RetentionRule
from service.gallery.sqlite import jobs
from service.gallery.store import Operation, nothing
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
    return traces_in(b"".join(files(folder).values()))


def traces_in_copies() -> set[str]:
    """The same of what services in this process keep in files that have no name any more."""
    found = {}
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # what was open to list them
            if "replica.sqlite" in str(path.readlink()):
                found[path.stat().st_ino] = path.read_bytes()
    assert found
    return traces_in(b"".join(found.values()))


def traces_in(everything: bytes) -> set[str]:
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
    assert traces_in_copies() == {"name", "tag", "note", "vector"}
    with one.reading(EVERYONE) as reading:
        rows = np.array([sighting.row], np.int64)
        assert len(reading.vectors(rows, one.bundle_id, one.dimension)[0]) == 1

    written = one.erase_person(EVERYONE, NAME)

    assert written.pending == ()
    assert written.value.completed_at is not None
    assert traces(tmp_path) == traces_in_copies() == set()
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
    """And says so to who asks again, though it was not the one that answered too early."""
    monkeypatch.setattr("service.gallery.erasures.PATIENCE_S", 1.0)
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


def test_what_a_service_that_is_gone_could_not_finish_another_does(server, replica, monkeypatch):
    monkeypatch.setattr("service.gallery.erasures.PATIENCE_S", 0.0)
    monkeypatch.setattr("service.gallery.redis.store._GONE_S", 0.1)
    one, other = replica("one"), replica("other")
    enrol_ursula(one)
    one._store._link.rewrite_log = partial(refuse, "no memory to fork")
    one._store._scrubs.take_up = lambda: None
    receipt = one.erase_person(EVERYONE, NAME).value
    assert receipt.completed_at is None
    one.close()
    other.wait_for(one.change)
    wait_until(lambda: is_complete(other, receipt.receipt_id))
    assert traces(server.folder) == set()
    again = other.erase_person(EVERYONE, NAME)  # who was told to ask again is told
    assert (again.value.receipt_id, again.pending) == (receipt.receipt_id, ())


def test_what_a_service_that_is_gone_could_not_finish_one_other_does_and_not_all(server, replica, monkeypatch):
    monkeypatch.setattr("service.gallery.erasures.PATIENCE_S", 0.0)
    monkeypatch.setattr("service.gallery.redis.store._GONE_S", 0.1)
    one, *others = (replica(name) for name in ("one", "other", "third"))
    enrol_ursula(one)
    one._store._link.rewrite_log = partial(refuse, "no memory to fork")
    one._store._scrubs.take_up = lambda: None
    asked, taken = [], []
    for other in others:
        other._store._scrubs.take_up = partial(taken.append, other._store.home_id)
        takes_debt = other._store._link.takes_debt

        def asks(home_id: str, _: float, takes_debt=takes_debt) -> bool:
            asked.append(home_id)
            return takes_debt(home_id, 3600.0)

        other._store._link.takes_debt = asks
    assert one.erase_person(EVERYONE, NAME).value.completed_at is None
    one.close()
    wait_until(lambda: min(asked.count(other._store.home_id) for other in others) > 2)
    assert len(set(taken)) == 1


def test_a_redis_that_is_started_again_writes_its_files_anew_all_the_same(server, replica):
    """What it says of its files then is that nothing went wrong: nothing was tried yet."""
    gallery = replica("one")
    enrol_ursula(gallery)
    rewrite_log, starts = gallery._store._link.rewrite_log, []

    def started_again_instead() -> None:
        if starts:
            rewrite_log()
        else:
            starts.append(server.restart())

    gallery._store._link.rewrite_log = started_again_instead
    receipt = gallery.erase_person(EVERYONE, NAME).value
    wait_until(lambda: is_complete(gallery, receipt.receipt_id))
    assert starts
    assert traces(server.folder) == set()


def test_what_retention_took_while_an_erasure_was_finished_is_not_forgotten(server, replica, monkeypatch):
    """The file that is written anew holds it still, and the service that took it is gone before it saw to that."""
    monkeypatch.setattr("service.gallery.redis.store._GONE_S", 0.1)
    one, other = replica("one"), replica("other")
    enrol_ursula(one)
    one.set_retention(EVERYONE, [RetentionRule(60)])
    other.wait_for(one.change)
    save, took = one._store._link.save, []

    def taken_meanwhile() -> None:
        if not took:
            took.append(other._write(EVERYONE, "retention", partial(_delete_expired, now=Moment.now())).value)
            other.close()
            assert "crop" in traces(server.folder)
        save()

    one._store._link.save = taken_meanwhile
    one.erase_person(EVERYONE, "bob")
    assert took == [1]
    wait_until(lambda: not traces(server.folder) & {"crop", "vector"})


def test_an_erasure_does_not_wait_for_those_that_come_after_it(replica):
    """Where one is always under way, each is complete some time all the same."""
    gallery = replica("one")
    for name in "abc":
        gallery.enrol(EVERYONE, [crop(name)], fields(name))
    save, later = gallery._store._link.save, []

    def erased_meanwhile() -> None:
        later.append(gallery._store._waiting.put(Operation(nothing, erases=True)))
        save()

    gallery._store._link.save = erased_meanwhile
    assert [gallery.erase_person(EVERYONE, name).value.completed_at is None for name in "abc"] == [False] * 3
    assert len(later) >= 3
    gallery._store._link.save = save


def test_retention_leaves_nothing_either(server, replica):
    gallery = replica("one")
    enrol_ursula(gallery)
    gallery.set_retention(EVERYONE, [RetentionRule(60)])
    assert gallery.apply_retention(Moment.now()).value == 2
    assert "crop" not in traces(server.folder)
    assert "vector" not in traces(server.folder)


def is_complete(gallery, receipt_id: str) -> bool:
    with gallery.reading(EVERYONE) as reading:
        return reading.receipt(receipt_id).completed_at is not None


def refuse(reason: str) -> None:
    raise StoreError(reason)
