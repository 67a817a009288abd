"""Crops on a folder that all services see: named by commits, gone with them, and no other's."""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from service.gallery.errors import DamageError, HomeError, StoreError
from service.gallery.filters import Filter
from service.gallery.gallery import Gallery
from service.gallery.redis.errors import AwayError
from service.gallery.redis.folder import SharedFolder
from service.gallery.store import nothing
from tests.redis_server import RedisServer
from tests.service.gallery.conftest import EVERYONE, crop, fields, wait_until

Open = Callable[..., Gallery]


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    return tmp_path / "shared"


@pytest.fixture
def opened(replica: Open, server: RedisServer, shared: Path) -> Open:
    """Opens a service's gallery whose crops are in the folder."""
    return lambda name: replica(name, server.address(crops=shared))


def enrol(gallery: Gallery, text: str, person_id: str | None = None) -> str:
    return gallery.enrol(EVERYONE, [crop(text)], fields(person_id)).value[0].sighting_id


def files(shared: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in shared.rglob("*.jpg"))


def is_done(action: Callable[[], object]) -> bool:
    try:
        action()
    except StoreError:
        return False
    return True


def in_redis(server: RedisServer, text: str) -> bool:
    values = [server.client.get(key) for key in server.client.scan_iter("reid:{reid}:crop:*")]
    return crop(text).jpeg in values


def test_a_crop_is_a_file_that_every_service_reads_and_that_goes_with_its_person(opened, server, shared):
    one, other = opened("one"), opened("other")
    sighting = enrol(one, "a", "ada")
    kept = enrol(other, "b", "bob")
    other.wait_for(one.change)
    assert other.crop(EVERYONE, sighting) == crop("a").jpeg
    assert files(shared) == [crop("a").jpeg, crop("b").jpeg]
    assert not in_redis(server, "a")
    assert other.erase_person(EVERYONE, "ada").value.completed_at is not None
    assert files(shared) == [crop("b").jpeg]
    one.wait_for(other.change)
    assert one.crop(EVERYONE, kept) == crop("b").jpeg


def test_a_crop_of_two_sightings_is_one_file_and_goes_with_the_last(opened, shared):
    one, other = opened("one"), opened("other")
    first, second = enrol(one, "a"), enrol(other, "a")
    assert files(shared) == [crop("a").jpeg]
    one.wait_for(other.change)
    one.delete_sighting(EVERYONE, first)
    assert other.crop(EVERYONE, second) == crop("a").jpeg
    other.delete_sighting(EVERYONE, second)
    assert files(shared) == []


@pytest.mark.parametrize("refused_first", [True, False])
def test_one_of_two_requests_with_the_same_bytes_is_refused_and_the_other_keeps_them(opened, shared, refused_first):
    gallery = opened("one")
    crops = gallery._store.crops
    with ExitStack() as refused, ExitStack() as kept:
        for request in (refused, kept) if refused_first else (kept, refused):
            (sha256,) = request.enter_context(crops.keeping([crop("a").jpeg]))
        refused.close()
        sighting, _ = gallery.store.write(lambda writing: writing.add_sighting(crop("a"), sha256, fields()))
    assert gallery.crop(EVERYONE, sighting) == crop("a").jpeg
    assert files(shared) == [crop("a").jpeg]


def test_of_two_requests_with_the_same_bytes_one_is_erased_before_the_other_is_kept(opened, shared):
    gallery, other = opened("one"), opened("other")
    with ExitStack() as first, ExitStack() as second:
        for request in (first, second):
            (sha256,) = request.enter_context(gallery._store.crops.keeping([crop("a").jpeg]))

        def keep() -> str:
            return gallery.store.write(lambda writing: writing.add_sighting(crop("a"), sha256, fields()))[0]

        before = keep()
        first.close()
        other.store.write(nothing)  # it follows
        other.delete_sighting(EVERYONE, before)
        sighting = keep()
    other.store.write(nothing)
    assert gallery.crop(EVERYONE, sighting) == other.crop(EVERYONE, sighting) == crop("a").jpeg
    assert files(shared) == [crop("a").jpeg]


@pytest.mark.parametrize("in_folder", [True, False])
def test_deletions_take_no_crop_from_a_request_that_is_keeping_it(replica, opened, in_folder):
    gallery = opened("one") if in_folder else replica("one")
    both = [enrol(gallery, "a"), enrol(gallery, "a")]
    with gallery._store.crops.keeping([crop("a").jpeg]) as (sha256,):
        for sighting_id in both:
            gallery.delete_sighting(EVERYONE, sighting_id)
        sighting = gallery.store.write(lambda writing: writing.add_sighting(crop("a"), sha256, fields()))[0]
    assert gallery.crop(EVERYONE, sighting) == crop("a").jpeg


def test_requests_that_overlap_for_ever_leave_no_files_behind(opened, shared):
    crops = opened("one")._store.crops
    with ExitStack() as last:
        last.enter_context(crops.keeping([crop("a").jpeg]))
        for _ in range(5):
            following = ExitStack()
            following.enter_context(crops.keeping([crop("a").jpeg]))
            last.close()
            last = following
            assert len(files(shared)) == 1
        last.close()
    assert files(shared) == []


def test_a_disk_that_lets_nothing_go_is_not_hurried(opened, shared, monkeypatch):
    monkeypatch.setattr("service.gallery.redis.crops._AT_ONCE", 2)
    monkeypatch.setattr("service.gallery.erasures.PATIENCE_S", 0.0)
    gallery = opened("one")
    for text in "abcdef":
        enrol(gallery, text, "ada")
    folder, dropped = gallery._store.crops._folder, []
    is_dropped = folder.is_dropped

    def some(name: str) -> bool:
        dropped.append(name)
        return len(dropped) <= 2 and is_dropped(name)

    folder.is_dropped = some
    assert "crops" in gallery.erase_person(EVERYONE, "ada").pending
    wait_until(lambda: len(dropped) > 4)
    assert not gallery._store.crops.is_removing
    folder.is_dropped = is_dropped
    wait_until(lambda: gallery.pending == ())
    assert not gallery._store.crops.is_removing
    assert files(shared) == []


def test_many_crops_are_taken_away_without_a_pause(opened, shared, monkeypatch, caplog):
    monkeypatch.setattr("service.gallery.redis.crops._AT_ONCE", 2)
    gallery = opened("one")
    for text in "abcdefghij":
        enrol(gallery, text, "ada")
    assert gallery.erase_person(EVERYONE, "ada").pending == ()
    assert files(shared) == []
    assert "tried again" not in caplog.text


def test_a_disk_that_does_not_answer_is_no_damage(opened, shared):
    gallery = opened("one")
    sighting = enrol(gallery, "a")
    (path,) = shared.rglob("*.jpg")
    path.unlink()
    path.mkdir()  # reading it fails, and not because it is missing
    with pytest.raises(StoreError, match="the crop could not be read"):
        gallery.crop(EVERYONE, sighting)


def test_what_was_refused_while_redis_was_away_is_gone_when_its_person_is(opened, server, shared, monkeypatch):
    monkeypatch.setattr("service.gallery.redis.store._PATIENCE_S", 0.0)
    gallery = opened("one")
    enrol(gallery, "a", "ada")
    server.kill()
    for _ in range(3):
        with pytest.raises(StoreError):
            enrol(gallery, "b", "ada")
    assert len(files(shared)) > 1
    server.start()
    wait_until(lambda: is_done(lambda: gallery.erase_person(EVERYONE, "ada")))
    wait_until(lambda: gallery.pending == ())
    assert files(shared) == []


def test_a_service_without_the_folder_leaves_the_files_to_one_with_it(replica, opened, shared, monkeypatch):
    monkeypatch.setattr("service.gallery.erasures.PATIENCE_S", 0.0)
    without, having = replica("without"), opened("having")
    enrol(having, "a", "ada")
    without.wait_for(having.change)
    having.close()
    assert "crops" in without.erase_person(EVERYONE, "ada").pending
    assert files(shared) == [crop("a").jpeg]
    opened("having")
    wait_until(lambda: without.pending == ())
    assert files(shared) == []


def test_an_enrolment_that_is_refused_leaves_no_file(opened, shared):
    gallery = opened("one")

    def refuse(*_) -> None:
        raise StoreError("Redis refuses: OOM")

    gallery._store._link.commit = refuse
    with pytest.raises(StoreError, match="OOM"):
        enrol(gallery, "a")
    assert files(shared) == []


def test_a_file_stays_while_nobody_knows_whether_it_is_named(opened, shared, monkeypatch):
    monkeypatch.setattr("service.gallery.redis.store._PATIENCE_S", 0.0)
    gallery = opened("one")
    commit, late = gallery._store._link.commit, []

    def slow(*asked) -> None:
        late.append(asked)
        raise AwayError("no answer")

    gallery._store._link.commit = slow
    with pytest.raises(StoreError, match="not known"):
        enrol(gallery, "a")
    assert commit(*late[0]) == "kept"  # it was on its way
    gallery._store._link.commit = commit
    wait_until(lambda: gallery.sightings_indexed == 1)
    with gallery.reading(EVERYONE) as reading:
        (sighting,) = reading.sightings(Filter(), 0, 10).records
    assert gallery.crop(EVERYONE, sighting.sighting_id) == crop("a").jpeg


def test_a_file_that_the_disk_refuses_leaves_no_other(opened, shared, monkeypatch):
    gallery = opened("one")
    put, calls = SharedFolder.put, []

    def full(self, sha256, jpeg):
        calls.append(sha256)
        if len(calls) == 2:
            raise StoreError("the crop could not be written: no space")
        return put(self, sha256, jpeg)

    monkeypatch.setattr(SharedFolder, "put", full)
    with pytest.raises(StoreError, match="no space"):
        gallery.enrol(EVERYONE, [crop("a"), crop("b")], fields())
    assert files(shared) == []


def test_what_one_could_not_remove_is_pending_until_any_service_does(opened, shared, monkeypatch):
    monkeypatch.setattr("service.gallery.erasures.PATIENCE_S", 0.0)
    one, other = opened("one"), opened("other")
    enrol(one, "a", "ada")
    other.wait_for(one.change)
    for gallery in (one, other):
        monkeypatch.setattr(gallery._store.crops._folder, "is_dropped", lambda name: False)
    assert "crops" in one.erase_person(EVERYONE, "ada").pending
    assert files(shared) == [crop("a").jpeg]
    monkeypatch.undo()
    wait_until(lambda: files(shared) == [])
    wait_until(lambda: one.pending == ())


def test_files_that_no_commit_named_go_at_the_next_start(opened, shared):
    one = opened("one")
    enrol(one, "a")
    folder, home_id = one._store.crops._folder, one.store.home_id
    folder.put("0" * 64, b"of its own")
    elsewhere = SharedFolder(shared, "f" * 32)
    elsewhere.put("1" * 64, b"young, and may be named yet")
    old = shared / "22" / f"{elsewhere.put('2' * 64, b'old')}.jpg"
    os.utime(old, (time.time() - 90_000,) * 2)
    one.close()
    again = opened("one")
    assert again.store.home_id == home_id
    assert files(shared) == sorted([crop("a").jpeg, b"young, and may be named yet"])


def test_a_gallery_that_had_its_crops_in_redis_keeps_them_there(replica, opened, server, shared):
    before = replica("one")
    first = enrol(before, "a")
    before.close()
    gallery = opened("one")
    second = enrol(gallery, "b")
    assert [gallery.crop(EVERYONE, one) for one in (first, second)] == [crop("a").jpeg, crop("b").jpeg]
    assert files(shared) == [crop("b").jpeg]
    gallery.delete_sighting(EVERYONE, first)
    assert not in_redis(server, "a")


def test_a_service_without_the_folder_is_refused(replica, opened):
    opened("one")
    with pytest.raises(HomeError, match="expected REID_CROPS"):
        replica("other")


def test_a_folder_of_another_gallery_is_refused(replica, server, opened, shared):
    opened("one")
    with pytest.raises(HomeError, match="another or a new one; set REID_CROPS"):
        replica("other", server.address("other", shared))


def test_an_empty_folder_in_the_place_of_the_one_that_has_the_crops_is_refused(
    replica, server, opened, tmp_path, caplog
):
    """As where its disk is not mounted: what was kept there would be no other's, and nothing erased there."""
    enrol(opened("one"), "a")
    with pytest.raises(HomeError, match="without any: mount it, or set REID_CROPS"):
        replica("other", server.address(crops=tmp_path / "not-mounted"))
    assert not (tmp_path / "not-mounted").exists()
    assert "nothing is written any more" not in caplog.text  # it is refused, not broken


def test_a_folder_that_cannot_be_written_is_refused(replica, server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match="expected a folder for crops to write into"):
        replica("one", server.address(crops=tmp_path / "file"))


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"other"), Path.unlink], ids=["other", "gone"])
def test_a_file_that_is_not_as_it_was_kept_is_damage(opened, shared, damage):
    gallery = opened("one")
    sighting = enrol(gallery, "a")
    (path,) = shared.rglob("*.jpg")
    damage(path)
    with pytest.raises(DamageError, match="expected the crop that was kept"):
        gallery.crop(EVERYONE, sighting)
