"""Erased means gone from the disk; what cannot go yet is said, tried again, and keeps nobody else waiting."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from service.gallery.crops import sha256_of
from service.gallery.errors import NotFoundError
from tests.service.gallery.conftest import (
    DEADLINE_S,
    EVERYONE,
    crop,
    fields,
    files,
    found,
    kept,
    looking_like,
    open_gallery,
    together,
    wait_until,
)


@pytest.fixture
def impatient(monkeypatch):
    """Erasures are answered after the first try."""
    monkeypatch.setattr("service.gallery.erasures.PATIENCE_S", 0.0)


def block(gallery, text: str) -> Path:
    """Put a folder in the place of a crop: not even root can unlink it."""
    path = gallery._crops.path(*sha256_of([crop(text).jpeg]))
    path.unlink()
    path.mkdir()
    return path


@pytest.mark.parametrize("erased_first", [True, False])
def test_a_crop_that_one_caller_erases_and_another_enrols_at_once_is_kept(gallery, tmp_path, erased_first):
    gallery.enrol(EVERYONE, [crop("x")], fields("ada"))
    writes = [
        lambda: gallery.erase_person(EVERYONE, "ada"),
        lambda: gallery.enrol(EVERYONE, [crop("x")], fields("bob")),
    ]
    together(gallery, *(writes if erased_first else reversed(writes)))
    (left,) = found(gallery, looking_like("x"))
    assert gallery.crop(EVERYONE, left) == crop("x").jpeg
    gallery.erase_person(EVERYONE, "bob")
    assert kept(tmp_path) == set()


def test_a_crop_on_its_way_into_the_gallery_is_not_taken_away(gallery, tmp_path):
    gallery.enrol(EVERYONE, [crop("x")], fields("ada"))
    with gallery._crops.keeping([crop("x").jpeg]):  # as an enrolment does, before its turn to write comes
        assert gallery.erase_person(EVERYONE, "ada").value.completed_at is not None
        assert kept(tmp_path) == {crop("x").jpeg}


def test_a_crop_that_cannot_be_removed_is_said_and_removed_later(gallery, impatient, caplog):
    gallery.enrol(EVERYONE, [crop("a"), crop("b")], fields("Ursula"))
    obstacle = block(gallery, "a")
    first = gallery.erase_person(EVERYONE, "Ursula")
    assert (first.value.completed_at, first.value.images, first.pending) == (None, 2, ("crops",))
    assert "will be tried again: crops" in caplog.text
    assert "Ursula" not in caplog.text
    again = gallery.erase_person(EVERYONE, "Ursula")
    assert (again.value, again.pending) == (first.value, ("crops",))
    obstacle.rmdir()
    wait_until(lambda: gallery.pending == ())
    later = gallery.erase_person(EVERYONE, "Ursula")
    assert (later.value.receipt_id, later.pending) == (first.value.receipt_id, ())
    assert later.value.completed_at is not None


def test_archives_that_cannot_be_looked_for_are_said_and_removed_later(gallery, impatient, tmp_path):
    gallery.enrol(EVERYONE, [crop("a")], fields("ada"))
    (tmp_path / "archives").rmdir()
    assert gallery.erase_person(EVERYONE, "ada").pending == ("archives",)
    (tmp_path / "archives").mkdir()
    wait_until(lambda: gallery.pending == ())


def test_a_crop_that_could_not_be_removed_is_removed_at_the_next_start(impatient, tmp_path):
    gallery = open_gallery(tmp_path)
    gallery.enrol(EVERYONE, [crop("a")], fields("ada"))
    obstacle = block(gallery, "a")
    first = gallery.erase_person(EVERYONE, "ada").value
    gallery.close()
    obstacle.rmdir()
    obstacle.write_bytes(crop("a").jpeg)
    again = open_gallery(tmp_path)
    assert kept(tmp_path) == set()
    receipt = again.erase_person(EVERYONE, "ada").value
    assert (receipt.receipt_id, receipt.completed_at is None) == (first.receipt_id, False)
    again.close()


def test_a_reader_that_holds_the_log_delays_the_receipt_and_loses_none(gallery, impatient, tmp_path):
    gallery.enrol(EVERYONE, [crop("a")], fields("Ursula"))
    with gallery.reading(EVERYONE) as reading:
        reading.change()
        written = gallery.erase_person(EVERYONE, "Ursula")
        assert (written.value.completed_at, written.pending) == (None, ("database",))
        deleted = gallery.enrol(EVERYONE, [crop("b")], fields()).value[0]  # others go on
        assert gallery.delete_sighting(EVERYONE, deleted.sighting_id).pending == ("database",)
    wait_until(lambda: gallery.pending == ())
    assert [name for name, data in files(tmp_path).items() if b"Ursula" in data] == []
    assert gallery.erase_person(EVERYONE, "Ursula").value.completed_at is not None


def test_a_complete_erasure_is_not_answered_twice(gallery):
    gallery.enrol(EVERYONE, [crop("a")], fields("ada"))
    written = gallery.erase_person(EVERYONE, "ada")
    assert written.pending == ()
    assert written.value.completed_at is not None
    with pytest.raises(NotFoundError):
        gallery.erase_person(EVERYONE, "ada")


def test_one_scrub_serves_all_erasures_that_wait_for_it(gallery):
    names = [f"p{number}" for number in range(5)]
    for name in names:
        gallery.enrol(EVERYONE, [crop(name)], fields(name))
    said: list[str] = []
    gallery._store._connection.set_trace_callback(said.append)
    together(gallery, *(partial(gallery.erase_person, EVERYONE, name) for name in names))
    assert said.count("VACUUM") == 1


def test_a_search_does_not_wait_for_a_scrub_and_its_line_is_written_after_it(gallery, tmp_path):
    (sighting,) = gallery.enrol(EVERYONE, [crop("a")], fields("ada")).value
    other = sqlite3.connect(tmp_path / "gallery.sqlite", isolation_level=None, check_same_thread=False)
    locked = threading.Event()

    def lock(*_) -> None:
        """Between the commit and the scrub: the scrub waits for this lock."""
        other.execute("BEGIN IMMEDIATE")
        locked.set()

    with ThreadPoolExecutor(1) as pool:
        erasure = pool.submit(gallery._store.erase, lambda _: None, None, lock)
        assert locked.wait(DEADLINE_S)
        assert found(gallery, looking_like("a")) == [sighting.sighting_id]
        assert not erasure.done()
        other.execute("ROLLBACK")
        assert erasure.result() == (None, ())
    other.close()
    gallery.add_person(EVERYONE, "bob", None, (), {})
    with gallery.reading(EVERYONE) as reading:
        assert [line.action for line in reading.audit(None, 10).records] == ["add person", "search", "enrol"]


def test_who_erases_while_the_next_try_is_far_off_does_not_wait_for_it(gallery, monkeypatch):
    """After failures they are a minute apart."""
    monkeypatch.setattr("service.gallery.erasures.PATIENCE_S", 0.05)
    gallery.enrol(EVERYONE, [crop("a")], fields("ada"))
    gallery.enrol(EVERYONE, [crop("b")], fields("bob"))
    obstacle = block(gallery, "a")
    gallery._store._erasures._retry_s = 3600
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(gallery.erase_person, EVERYONE, "ada").result(DEADLINE_S).pending == ("crops",)
        obstacle.rmdir()
        assert pool.submit(gallery.erase_person, EVERYONE, "bob").result(DEADLINE_S).pending == ()
