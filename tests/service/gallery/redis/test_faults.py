"""Redis killed, slow, flushed, misused: nothing acknowledged is lost or there twice, and what is wrong is said."""

import shutil
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.gallery.errors import DamageError, HomeError, NotFoundError, StoreError
from service.gallery.records import Once
from service.gallery.redis.errors import AwayError, LostError
from service.gallery.redis.link import Changes, Link, Place
from tests.redis_server import RedisServer
from tests.service.gallery.conftest import (
    DEADLINE_S,
    DIMENSIONS,
    EVERYONE,
    OTHER,
    crop,
    embed,
    fields,
    found,
    looking_like,
    wait_until,
)
from tests.service.gallery.redis.conftest import ids


def once(name: str) -> Once:
    return Once(name, name, lambda value, change: value[0].sighting_id)


def test_a_commit_that_is_sent_twice_is_kept_once(server, replica):
    replica("one").close()
    link = Link(server.address())
    head = link.head()
    change = Changes({("counters", '["change"]'): b'["change", 7]\n'})
    place = Place(head.version, head.request)
    assert link.commit(head.store_id, place, "a" * 32, change) == "kept"
    assert link.commit(head.store_id, place, "a" * 32, change) == "kept"
    assert link.head().version == head.version + 1
    assert link.commit(head.store_id, place, "b" * 32, change) == "behind"
    link.forget(head.version + 1)  # an erasure takes the log, not the knowledge of what was sent
    assert link.commit(head.store_id, place, "a" * 32, change) == "kept"
    link.close()


def test_an_answer_that_was_lost_does_not_double_what_was_written(replica):
    gallery = replica("one")
    commit, calls = gallery._store._link.commit, []

    def deaf(*arguments) -> str:
        calls.append(commit(*arguments))
        if len(calls) == 1:
            raise AwayError("the answer was lost")
        return calls[-1]

    gallery._store._link.commit = deaf
    (sighting,) = gallery.enrol(EVERYONE, [crop("a")], fields("ada")).value
    assert calls[:2] == ["kept", "kept"]
    assert ids(gallery) == [sighting.sighting_id] == found(gallery, looking_like("a"))


def test_a_write_of_unknown_end_is_refused_and_followed_if_it_was_kept(replica, monkeypatch):
    monkeypatch.setattr("service.gallery.redis.store._PATIENCE_S", 0.0)
    gallery = replica("one")
    commit = gallery._store._link.commit

    def deaf(*arguments) -> str:
        commit(*arguments)
        raise AwayError("the answer was lost")

    gallery._store._link.commit = deaf
    with pytest.raises(StoreError, match="not known"):
        gallery.enrol(EVERYONE, [crop("a")], fields("ada"), once("key"))
    gallery._store._link.commit = commit
    wait_until(lambda: len(ids(gallery)) == 1)
    again = gallery.enrol(EVERYONE, [crop("a")], fields("ada"), once("key"))
    assert [again.replay] == ids(gallery) == found(gallery, looking_like("a"))


def test_redis_killed_under_load_loses_and_doubles_nothing(server, replica):
    galleries = [replica("one"), replica("other")]
    acknowledged: list[str] = []
    stop = threading.Event()

    def load(name: str, gallery) -> None:
        number = 0
        while not stop.is_set():
            try:
                written = gallery.enrol(EVERYONE, [crop(f"{name} {number}")], fields("ada"), once(f"{name} {number}"))
            except StoreError:
                continue  # the same again, under the same key
            acknowledged.append(written.replay or written.value[0].sighting_id)
            number += 1

    with ThreadPoolExecutor(4) as pool:
        loads = [pool.submit(load, f"{i} {j}", gallery) for i, gallery in enumerate(galleries) for j in range(2)]
        for enough in range(20, 120, 20):
            wait_until(lambda enough=enough: len(acknowledged) > enough)
            server.restart()
        stop.set()
        for one in loads:
            one.result()
    assert len(set(acknowledged)) == len(acknowledged)
    for gallery in galleries:
        gallery._store.write(lambda _: None)
        assert sorted(ids(gallery)) == sorted(acknowledged)
        assert gallery.sightings_indexed == len(acknowledged)


def test_two_that_write_at_once_agree(replica):
    galleries = [replica("one"), replica("other")]

    def load(gallery, name: str) -> None:
        for number in range(20):
            (sighting,) = gallery.enrol(EVERYONE, [crop(f"{name} {number}")], fields(f"person {number % 4}")).value
            if number % 5 == 0:
                gallery.delete_sighting(EVERYONE, sighting.sighting_id)
            if number % 7 == 6:
                try:
                    gallery.merge(EVERYONE, "person 0", "person 1")
                except NotFoundError:
                    continue

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(load, gallery, f"{i} {j}") for i, gallery in enumerate(galleries) for j in range(2)]:
            done.result()
    one, other = galleries
    other.wait_for(one.change)
    one.wait_for(other.change)
    assert len(ids(one)) == 64
    assert ids(one) == ids(other)
    for text in ("0 0 3", "1 1 19"):
        assert found(one, looking_like(text), top_k=64) == found(other, looking_like(text), top_k=64)


def test_a_slow_redis_is_waited_for(server, replica):
    gallery = replica("one")
    server.client.execute_command("CLIENT", "PAUSE", 400, "ALL")
    (sighting,) = gallery.enrol(EVERYONE, [crop("a")], fields()).value
    assert ids(gallery) == [sighting.sighting_id]


def test_a_redis_that_is_away_is_said_and_found_again(server, replica, monkeypatch):
    monkeypatch.setattr("service.gallery.redis.store.LEASE_S", 0.2)
    monkeypatch.setattr("service.gallery.redis.store._BEAT_S", 0.05)
    monkeypatch.setattr("service.gallery.redis.store._PATIENCE_S", 0.0)
    gallery = replica("one")
    (sighting,) = gallery.enrol(EVERYONE, [crop("a")], fields()).value
    server.kill()
    wait_until(lambda: refuses(gallery, StoreError))
    with pytest.raises(StoreError):
        gallery.probe()
    with pytest.raises(StoreError):
        gallery.enrol(EVERYONE, [crop("b")], fields())
    server.start()
    wait_until(lambda: not refuses(gallery, StoreError))
    assert found(gallery, looking_like("a")) == [sighting.sighting_id]


def test_a_flushed_redis_is_said_and_nothing_is_answered_from_memory(server, replica):
    gallery = replica("one")
    gallery.enrol(EVERYONE, [crop("a")], fields())
    server.client.flushall()
    wait_until(lambda: refuses(gallery, DamageError))
    assert gallery._store._due_in_s() is None  # there is nothing to look for any more
    asks = [gallery.probe, lambda: found(gallery, looking_like("a")), lambda: gallery.enrol(EVERYONE, [], fields())]
    for ask in asks:
        with pytest.raises(StoreError, match="flushed"):
            ask()
    gallery.close()
    assert server.client.keys() == []  # and nothing of it comes back by a back door
    with pytest.raises(HomeError, match="another or a new one"):
        replica("one")


def test_a_service_that_is_too_far_behind_loads_everything_anew(server, replica, monkeypatch):
    monkeypatch.setattr("service.gallery.redis.store.LEASE_S", 0.2)
    one, other = replica("one"), replica("other")
    gone = one.enrol(EVERYONE, [crop("gone")], fields("ada")).value[0]
    other.wait_for(one.change)
    look_no_more(other)
    kept = one.enrol(EVERYONE, [crop("kept")], fields("bob")).value[0]
    one.change_sighting(EVERYONE, kept.sighting_id, {"person_id": "cy"})
    one.delete_sighting(EVERYONE, gone.sighting_id)  # takes the log away, too, once the other's lease has ended
    assert server.client.llen("reid:{reid}:log") < 3
    assert ids(other) == ids(one) == [kept.sighting_id] == found(other, looking_like("gone"))
    assert other.sightings_indexed == 1


def test_the_log_is_kept_for_one_that_loads_a_large_gallery(server, replica, monkeypatch):
    """Whatever others write and erase meanwhile, it need not begin again."""
    monkeypatch.setattr("service.gallery.erasures.PATIENCE_S", 0.0)
    monkeypatch.setattr("service.gallery.redis.link.ENTRIES_KEPT", 3)
    one = replica("one")
    gone = one.enrol(EVERYONE, [crop("gone")], fields("ada")).value[0]
    all_rows, loads, pending = Link.all_rows, [], []

    def slow(link, table):
        if table == "sightings":
            loads.append(table)
            if not pending:
                pending.append(one.delete_sighting(EVERYONE, gone.sighting_id).pending)
                for number in range(8):
                    one.enrol(EVERYONE, [crop(f"{number}")], fields())
        return all_rows(link, table)

    beat, beats = Link.beat, []

    def noted(link, store_id, service, cleaned, followed):
        beats.append((service.home_id, cleaned, followed))
        beat(link, store_id, service, cleaned, followed)

    monkeypatch.setattr(Link, "all_rows", slow)
    monkeypatch.setattr(Link, "beat", noted)
    other = replica("other")
    loaded = next(said for said in beats if said[0] == other.store.home_id and said[2] > 0)
    assert loaded[1] == 0, "what went while it loaded is in its file until that is cleaned"
    assert loads == ["sightings"]
    assert pending == [("database",)]
    assert ids(other) == ids(one)
    assert len(ids(other)) == other.sightings_indexed == 8
    wait_until(lambda: one.pending == ())

    def another() -> int:
        one.add_person(EVERYONE, f"{one.change}", None, (), {})
        return server.client.llen("reid:{reid}:log")

    wait_until(lambda: another() == 3)  # and no longer than that


def test_a_transaction_that_takes_long_has_its_turn_among_many_short_ones(server, replica):
    one, other = replica("one"), replica("other")
    stop, runs = threading.Event(), []

    def load() -> None:
        while not stop.is_set():
            other.add_person(EVERYONE, f"{other.change}", None, (), {})

    def slow(writing) -> None:
        """Others are first as often as they may be."""
        runs.append(version(server))
        wait_until(lambda: version(server) > runs[-1] or server.client.exists("reid:{reid}:turn"))

    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(load)
        try:
            one.store.submit(lambda writing: (slow(writing), writing.begin_change())).result(DEADLINE_S)
        finally:
            stop.set()
        loading.result()
    assert len(runs) > 1
    assert not server.client.exists("reid:{reid}:turn")


def test_a_turn_ends_with_what_it_was_for(server, replica):
    gallery = replica("one")
    link, commit = gallery._store._link, gallery._store._link.commit
    answers = iter(["behind"] * 3)

    def refuse(*asked) -> str:
        answer = next(answers, None)
        if answer is None:
            assert server.client.exists("reid:{reid}:turn")
            raise StoreError("Redis refuses: OOM")
        return answer

    link.commit = refuse
    with pytest.raises(StoreError, match="OOM"):
        gallery.store.write(lambda writing: writing.begin_change())
    link.commit = commit
    assert not server.client.exists("reid:{reid}:turn")

    link.take_turn("a" * 32, 10)
    head = link.head()
    assert link.commit(head.store_id, Place(head.version), "a" * 32, Changes()) == "kept"  # it wrote nothing
    assert not server.client.exists("reid:{reid}:turn")


def test_while_another_has_its_turn_writes_wait_and_reads_go_on(server, replica, monkeypatch):
    monkeypatch.setattr("service.gallery.redis.store.LEASE_S", 0.2)
    monkeypatch.setattr("service.gallery.redis.store._BEAT_S", 0.05)
    monkeypatch.setattr("service.gallery.redis.store._WRITER_S", 0.0)
    gallery = replica("one")
    link = Link(server.address())
    link.take_turn("a" * 32, 1)
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(gallery.enrol, EVERYONE, [crop("a")], fields())
        while not writing.done():
            assert not refuses(gallery, StoreError)
        writing.result()
    link.close()


def test_an_index_that_could_not_follow_is_not_searched(replica):
    one, other = replica("one"), replica("other")

    def fail(*_) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    other._store._news = fail
    one.enrol(EVERYONE, [crop("a")], fields())
    wait_until(lambda: refuses(other, DamageError))


@pytest.mark.parametrize("more", [0, 3])
def test_a_redis_that_went_back_in_time_is_noticed_though_others_wrote_as_much_since(server, replica, tmp_path, more):
    one = replica("one")
    one.enrol(EVERYONE, [crop("a")], fields())
    shutil.copytree(server.folder / "appendonlydir", tmp_path / "earlier")
    (lost,) = one.enrol(EVERYONE, [crop("b")], fields()).value
    look_no_more(one)
    newest = version(server)
    server.kill()
    shutil.rmtree(server.folder / "appendonlydir")
    shutil.copytree(tmp_path / "earlier", server.folder / "appendonlydir")
    server.start()
    other = replica("other")
    while version(server) < newest + more:
        other.enrol(EVERYONE, [crop("c")], fields())
    assert lost.sighting_id not in ids(other)
    with pytest.raises(DamageError, match="restored"):
        one.enrol(EVERYONE, [crop("g")], fields())
    assert refuses(one, DamageError)


def test_a_commit_is_known_after_thousands_of_others(server, replica):
    replica("one").close()
    link = Link(server.address())
    head = link.head()
    change = Changes({("counters", '["change"]'): b'["change", 7]\n'})
    assert link.commit(head.store_id, Place(head.version), "a" * 32, change) == "kept"
    server.client.rpush("reid:{reid}:requests", *(f"{number:032}" for number in range(9_000)))
    server.client.hincrby("reid:{reid}:head", "version", 9_000)
    assert link.commit(head.store_id, Place(head.version), "a" * 32, change) == "kept"
    assert link.commit(head.store_id, Place(head.version), "b" * 32, change) == "behind"
    link.close()


def test_a_crop_that_another_just_deleted_is_no_damage_to_a_change_of_model(replica):
    one, other = replica("one"), replica("other")
    gone, _ = one.enrol(EVERYONE, [crop("gone"), crop("kept")], fields()).value
    other.wait_for(one.change)
    kept_crop = other.kept_crop

    def kept_crop_of_one_that_goes(sighting) -> bytes:
        """The crop is gone with the commit of the one, before the other has followed."""
        if sighting == gone and gone.sighting_id in ids(one):
            look_no_more(other)
            one.store.write(lambda writing: writing.delete_sighting(gone.sighting_id))
            assert gone.sighting_id in ids(other)
        return kept_crop(sighting)

    other.kept_crop = kept_crop_of_one_that_goes
    other.activate(EVERYONE, OTHER, DIMENSIONS[OTHER], embed, lambda done, total: None)
    assert other.sightings_indexed == 1


def test_a_row_is_never_used_again_whatever_was_restarted(server, replica):
    gallery = replica("one")
    last = gallery.enrol(EVERYONE, [crop("a"), crop("b")], fields()).value[1]
    gallery.delete_sighting(EVERYONE, last.sighting_id)
    gallery.close()
    server.restart()
    assert replica("another").enrol(EVERYONE, [crop("c")], fields()).value[0].row == last.row + 1


def test_a_gallery_that_is_lost_after_an_answer_that_was_is_lost(replica):
    gallery = replica("one")
    answers = [AwayError("no answer"), LostError("it was flushed")]

    def failing(*_):
        raise answers.pop(0) if answers else LostError("it was flushed")

    gallery._store._link.commit = failing
    with pytest.raises(DamageError, match="it was flushed"):
        gallery.add_person(EVERYONE, "ada", None, (), {})
    with pytest.raises(DamageError, match="it was flushed"):
        ids(gallery)


def test_a_write_that_was_kept_is_not_said_to_be_refused_for_what_came_after(replica):
    gallery = replica("one")
    commit, sent = gallery._store._link.commit, []

    def unanswered_then_refused(*asked):
        sent.append(asked)
        if len(sent) == 2:
            raise StoreError("Redis refuses: OOM")
        said = commit(*asked)
        if len(sent) == 1:
            raise AwayError("no answer")
        return said

    gallery._store._link.commit = unanswered_then_refused
    with pytest.raises(StoreError, match="OOM; whether this was kept is not known"):
        gallery.enrol(EVERYONE, [crop("a")], fields())
    gallery._store._link.commit = commit
    wait_until(lambda: gallery.sightings_indexed == 1)


def test_nobody_there(tmp_path, replica):
    folder = tmp_path / "gone"
    folder.mkdir()
    gone = RedisServer(folder)
    gone.stop()
    with pytest.raises(StoreError, match="does not answer"):
        replica("one", gone.address())


def version(server) -> int:
    return int(server.client.hget("reid:{reid}:head", "version"))


def look_no_more(gallery) -> None:
    gallery._store._next_look_s = time.monotonic() + 3600


def refuses(gallery, kind: type[Exception]) -> bool:
    try:
        gallery.probe()
    except kind:
        return True
    return False
