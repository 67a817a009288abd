"""The writer's thread: what nobody thought of ends it, all are told, and the next start has everything."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.gallery.errors import DamageError, StoreError
from service.gallery.filters import Filter
from service.gallery.records import Once
from tests.service.gallery.conftest import EVERYONE, crop, fields, found, kept, looking_like, open_gallery

ONCE = Once("k", "b", lambda sightings, change: f"{len(sightings)} {change}")


@pytest.mark.parametrize("where", ["_commit", "_look_around"])
def test_a_failure_that_nobody_thought_of_leaves_no_caller_waiting(tmp_path, monkeypatch, caplog, where):
    gallery = open_gallery(tmp_path)
    (kept_one,) = gallery.enrol(EVERYONE, [crop("a")], fields("ada")).value
    monkeypatch.setattr(gallery._store, where, lambda *_: 1 / 0)
    said = []
    if where == "_look_around":  # what was written before is said
        said = [gallery.enrol(EVERYONE, [crop("bob")], fields("bob")).value[0].sighting_id]
    with pytest.raises(DamageError, match="expected a writer that works, got: ZeroDivisionError"):
        gallery.enrol(EVERYONE, [crop("eve")], fields("eve"))
    with pytest.raises(DamageError, match="expected a writer that works"):
        gallery.erase_person(EVERYONE, "ada")
    with pytest.raises(DamageError, match="start the service again"):
        gallery.probe()
    assert "nothing is written any more" in caplog.text
    gallery.close()
    again = open_gallery(tmp_path)
    assert sorted(found(again, looking_like("a"), top_k=10)) == sorted([kept_one.sighting_id, *said])
    again.close()


def test_an_erasure_that_waits_when_the_writer_fails_is_pending_and_done_at_the_next_start(tmp_path, monkeypatch):
    gallery = open_gallery(tmp_path)
    gallery.enrol(EVERYONE, [crop("a")], fields("ada"))
    monkeypatch.setattr(gallery._store._erasures, "finish", lambda: 1 / 0)
    written = gallery.erase_person(EVERYONE, "ada")
    assert (written.value.completed_at, written.pending) == (None, ("database",))
    gallery.close()
    again = open_gallery(tmp_path)
    receipt = again.erase_person(EVERYONE, "ada").value
    assert (receipt.receipt_id, receipt.completed_at is None) == (written.value.receipt_id, False)
    assert kept(tmp_path) == set()
    again.close()


@pytest.mark.parametrize("what", ["add", "remove"])
def test_an_index_that_could_not_follow_ends_the_writer_and_the_next_start_has_all(tmp_path, monkeypatch, what):
    gallery = open_gallery(tmp_path)
    gallery.enrol(EVERYONE, [crop("a")], fields("ada"))

    def full(*_) -> None:
        raise MemoryError("no memory")

    writes = {
        "add": lambda: gallery.enrol(EVERYONE, [crop("b")], fields("bob"), ONCE),
        "remove": lambda: gallery.erase_person(EVERYONE, "ada"),
    }
    monkeypatch.setattr(gallery._active.index, what, full)
    with pytest.raises((MemoryError, DamageError)):
        writes[what]()
    with pytest.raises(DamageError, match="what waited may have been kept"):
        gallery.enrol(EVERYONE, [crop("b")], fields("bob"), ONCE)
    gallery.close()
    again = open_gallery(tmp_path)
    if what == "add":
        assert again.enrol(EVERYONE, [crop("b")], fields("bob"), ONCE).replay is not None
        assert len(found(again, looking_like("b"), top_k=10)) == 2
    else:
        assert again.erase_person(EVERYONE, "ada").value.completed_at is not None
        assert kept(tmp_path) == set()
    again.close()


def test_a_gallery_whose_last_step_fails_is_closed_all_the_same(tmp_path, monkeypatch):
    gallery = open_gallery(tmp_path)
    monkeypatch.setattr(gallery._store._erasures, "close", lambda: 1 / 0)
    gallery.close()
    open_gallery(tmp_path).close()


def test_what_comes_after_the_end_is_refused_and_leaves_no_caller_waiting(tmp_path):
    gallery = open_gallery(tmp_path)
    gallery.enrol(EVERYONE, [crop("a")], fields("ada"))
    gallery.close()
    for late in (
        lambda: gallery.enrol(EVERYONE, [crop("b")], fields("bob")),
        lambda: gallery.erase_person(EVERYONE, "ada"),
        lambda: found(gallery, looking_like("a")),
        lambda: gallery.store.write(lambda _: None),
    ):
        with pytest.raises(StoreError, match="expected a store that is open, got one that was closed"):
            late()
    gallery.close()
    again = open_gallery(tmp_path)
    assert kept(tmp_path) == {crop("a").jpeg}
    again.close()


def test_writers_that_meet_the_end_are_answered_and_what_they_were_told_is_true(tmp_path):
    gallery = open_gallery(tmp_path)
    begun = threading.Barrier(5)

    def write(name: str) -> list[str]:
        told: list[str] = []
        begun.wait()
        try:
            while True:
                told.append(gallery.enrol(EVERYONE, [crop(f"{name} {len(told)}")], fields()).value[0].sighting_id)
        except StoreError:
            return told

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, name) for name in "abcd"]
        begun.wait()
        gallery.store.write(lambda _: None)
        gallery.close()
        told = {sighting_id for writer in writers for sighting_id in writer.result()}
    again = open_gallery(tmp_path)
    with again.reading(EVERYONE) as reading:
        assert {sighting.sighting_id for sighting in reading.sightings(Filter(), 0, 1000).records} == told
    again.close()
