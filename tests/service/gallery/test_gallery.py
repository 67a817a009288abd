"""What the gallery promises: durable and searchable once acknowledged, nothing twice, nothing seen through walls."""

import sqlite3
import threading
from functools import partial

import numpy as np
import pytest

from reid.errors import VectorError
from service.gallery.errors import (
    ChangeNotReachedError,
    ConflictError,
    ErasedError,
    ForbiddenError,
    HomeError,
    IdempotencyError,
    NotEmbeddedError,
    NotFoundError,
)
from service.gallery.filters import Filter
from service.gallery.records import Actor, Appearance, Once, Person
from service.gallery.search import Query
from service.gallery.sqlite.schema import VERSION
from tests.service.gallery.conftest import (
    EVERYONE,
    OTHER,
    crop,
    fields,
    files,
    found,
    kept,
    looking_like,
    open_gallery,
    together,
)


def once(key="k", body="b"):
    return Once(key, body, lambda sightings, change: f"{[s.sighting_id for s in sightings]} {change}")


def test_what_was_enrolled_is_found_and_still_there_after_reopening(tmp_path):
    gallery = open_gallery(tmp_path)
    written = gallery.enrol(EVERYONE, [crop("a"), crop("b")], fields("ada", "north"))
    before = [found(gallery, looking_like(text), top_k=1) for text in "ab"]
    assert before == [[sighting.sighting_id] for sighting in written.value]
    gallery.close()
    again = open_gallery(tmp_path)
    assert [found(again, looking_like(text), top_k=1) for text in "ab"] == before
    assert again.change == written.change
    assert again.crop(EVERYONE, before[0][0]) == crop("a").jpeg
    again.close()


def test_a_second_gallery_on_the_same_folder_is_refused(gallery, tmp_path):
    with pytest.raises(HomeError, match="another service holds"):
        open_gallery(tmp_path)


def test_a_store_of_a_later_version_is_refused_and_lets_go_of_the_folder(tmp_path):
    open_gallery(tmp_path).close()
    with sqlite3.connect(tmp_path / "gallery.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    for _ in range(2):
        with pytest.raises(HomeError, match=f"later version: expected schema {VERSION}, got 99"):
            open_gallery(tmp_path)


def test_a_store_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "gallery.sqlite").write_bytes(b"not a database" * 1000)
    with pytest.raises(HomeError, match="expected a SQLite store"):
        open_gallery(tmp_path)


def test_vectors_of_another_bundle_are_kept_and_never_compared(tmp_path, caplog):
    gallery = open_gallery(tmp_path)
    written = gallery.enrol(EVERYONE, [crop("a")], fields("ada"))
    gallery.close()
    other = open_gallery(tmp_path, OTHER)
    assert "1 of 1 sightings have no vector of this bundle" in caplog.text
    assert found(other, looking_like("a", OTHER)) == []
    with pytest.raises(NotEmbeddedError, match="active bundle"):
        found(other, Query(sighting_id=written.value[0].sighting_id))
    other.enrol(EVERYONE, [crop("z", OTHER)], fields("zoe"))
    other.close()
    back = open_gallery(tmp_path)
    assert found(back, looking_like("a")) == [written.value[0].sighting_id]
    back.close()


def test_the_sightings_a_query_is_made_of_are_not_among_its_matches(gallery):
    one, two = gallery.enrol(EVERYONE, [crop("a"), crop("b")], fields("ada", tracklet_id="t")).value
    (three,) = gallery.enrol(EVERYONE, [crop("c")], fields("bob")).value
    assert set(found(gallery, Query(sighting_id=one.sighting_id))) == {two.sighting_id, three.sighting_id}
    assert found(gallery, Query(stored=Filter(persons=("ada",)))) == [three.sighting_id]
    assert found(gallery, Query(stored=Filter(tracklets=("t",)))) == [three.sighting_id]


def test_a_query_that_means_nobody_is_refused(gallery):
    for query in (Query(sighting_id="x"), Query(stored=Filter(persons=("x",))), Query(stored=Filter(tracklets=("x",)))):
        with pytest.raises(NotFoundError):
            found(gallery, query)
    for vector in ([[1, 0, 0]], [[np.nan, 0, 0, 0]], [[2, 0, 0, 0]], [[0, 0, 0, 0]], [[1, 0, 0, 0], [-1, 0, 0, 0]]):
        with pytest.raises(VectorError):
            found(gallery, Query(embeddings=np.array(vector, np.float32)))


def test_min_score_cuts_and_equal_scores_come_in_the_order_of_enrolment(gallery):
    sightings = gallery.enrol(EVERYONE, [crop("a"), crop("a"), crop("a"), crop("b")], fields()).value
    same = [sighting.sighting_id for sighting in sightings[:3]]
    assert found(gallery, looking_like("a"), top_k=2) == same[:2]
    assert found(gallery, looking_like("a"), min_score=0.999) == same


def test_changes_are_numbered_one_by_one_and_waited_for(gallery):
    numbers = [gallery.enrol(EVERYONE, [crop(text)], fields()).change for text in "abc"]
    assert numbers == [1, 2, 3]
    gallery.wait_for(3)
    with pytest.raises(ChangeNotReachedError, match="expected change 4, got no further than 3"):
        gallery.wait_for(4)


def test_many_writers_at_once_lose_nothing(gallery):
    """Each writer finds its own sighting with the change it was told, whatever is committed beside it."""
    missed = []

    def write(number: int) -> None:
        for part in range(5):
            text = f"{number} {part}"
            written = gallery.enrol(EVERYONE, [crop(text)], fields(f"p{number}"))
            matches = found(gallery, looking_like(text), top_k=1)
            with gallery.reading(EVERYONE) as reading:
                seen = reading.change()
            if matches != [written.value[0].sighting_id] or seen < written.change:
                missed.append(text)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert missed == []
    assert gallery.change == gallery.sightings_indexed == 40


def test_the_same_request_twice_is_done_once_and_answered_alike(gallery):
    first = gallery.enrol(EVERYONE, [crop("a")], fields("ada"), once())
    second = gallery.enrol(EVERYONE, [crop("a")], fields("ada"), once())
    assert second.value is None
    assert second.replay == f"{[first.value[0].sighting_id]} {first.change}"
    assert second.change == first.change
    assert gallery.replay(EVERYONE, once()) == second
    assert gallery.sightings_indexed == 1


def test_a_key_used_for_another_request_is_refused_and_leaves_nothing(gallery, tmp_path):
    gallery.enrol(EVERYONE, [crop("a")], fields(), once(body="one"))
    before = files(tmp_path / "crops")
    with pytest.raises(IdempotencyError):
        gallery.enrol(EVERYONE, [crop("b")], fields(), once(body="two"))
    assert (files(tmp_path / "crops"), gallery.change) == (before, 1)


def test_answers_are_forgotten_after_a_week_when_another_is_remembered(gallery, tmp_path):
    gallery.enrol(EVERYONE, [crop("a")], fields(), once("old"))
    gallery.enrol(EVERYONE, [crop("b")], fields(), once("recent"))
    connection = sqlite3.connect(tmp_path / "gallery.sqlite", isolation_level=None)
    day_us = 86_400_000_000
    for key, age in (("old", 7 * day_us + 1), ("recent", 6 * day_us)):
        connection.execute("UPDATE idempotency SET created_at_us = created_at_us - ? WHERE key_sha256 = ?", (age, key))
    connection.close()
    gallery.enrol(EVERYONE, [crop("c")], fields(), once("new"))
    assert gallery.replay(EVERYONE, once("old")) is None
    assert gallery.replay(EVERYONE, once("recent")).change == 2


def test_two_callers_may_use_the_same_idempotency_key(gallery):
    gallery.enrol(EVERYONE, [crop("a")], fields(), once())
    assert gallery.enrol(Actor("another"), [crop("b")], fields(), once()).change == 2


def test_a_failed_write_leaves_nothing_and_its_neighbours_alone(gallery, tmp_path):
    gallery.add_person(EVERYONE, "ada", None, (), {})
    with pytest.raises(ConflictError, match="free, got 'ada'"):
        gallery.add_person(EVERYONE, "ada", None, (), {})
    assert gallery.change == 1
    assert gallery.add_person(EVERYONE, "bob", None, (), {}).change == 2


def test_a_crop_shared_by_two_sightings_goes_with_the_last(gallery, tmp_path):
    one, two = gallery.enrol(EVERYONE, [crop("a"), crop("a")], fields()).value
    gallery.delete_sighting(EVERYONE, one.sighting_id)
    assert gallery.crop(EVERYONE, two.sighting_id) == crop("a").jpeg
    gallery.delete_sighting(EVERYONE, two.sighting_id)
    assert kept(tmp_path) == set()
    assert found(gallery, looking_like("a")) == []
    with pytest.raises(NotFoundError):
        gallery.delete_sighting(EVERYONE, two.sighting_id)


def test_row_numbers_are_never_used_again(gallery):
    (one,) = gallery.enrol(EVERYONE, [crop("a")], fields()).value
    gallery.delete_sighting(EVERYONE, one.sighting_id)
    (two,) = gallery.enrol(EVERYONE, [crop("b")], fields()).value
    assert two.row > one.row


def test_moving_a_sighting_moves_it_in_searches(gallery):
    (sighting,) = gallery.enrol(EVERYONE, [crop("a")], fields("ada")).value
    gallery.change_sighting(EVERYONE, sighting.sighting_id, {"person_id": "bob"})
    wanted = [found(gallery, looking_like("a"), filter=Filter(persons=(name,))) for name in ("ada", "bob")]
    assert wanted == [[], [sighting.sighting_id]]
    gallery.change_sighting(EVERYONE, sighting.sighting_id, {"person_id": None})
    with gallery.reading(EVERYONE) as reading:
        assert reading.sighting(sighting.sighting_id).person_id is None


def test_an_erased_person_leaves_no_bytes_behind(gallery, tmp_path):
    """Many people of many sizes, so that pages split and merge; then one of three is erased and looked for."""
    rng = np.random.default_rng(1)
    for number in range(120):
        person_id = f"person<{number % 30}>"
        metadata = {"note": f"metadata<{number % 30}>" * int(rng.integers(1, 60))}
        tags = (f"tag<{number % 30}>",)
        text = f"crop<{number % 30}> {number}"
        gallery.enrol(
            EVERYONE, [crop(text)], fields(person_id, "north", tags=tags, metadata=metadata), once(f"{number}")
        )
        gallery.change_person(EVERYONE, person_id, {"name": f"name<{number % 30}> {'x' * int(rng.integers(90))}"})
        found(gallery, Query(stored=Filter(persons=(person_id,))))
    gone = range(0, 30, 3)
    vectors = [crop(f"crop<{number % 30}> {number}").embedding.tobytes() for number in range(120) if number % 3 == 0]
    for number in gone:
        receipt = gallery.erase_person(EVERYONE, f"person<{number}>").value
        assert (receipt.sightings, receipt.images) == (4, 4)
    traces = [f"{kind}<{number}>".encode() for number in gone for kind in ("person", "metadata", "tag", "crop", "name")]
    left = [(name, trace) for name, data in files(tmp_path).items() for trace in [*traces, *vectors] if trace in data]
    assert left == []
    assert gallery.sightings_indexed == 80


def test_an_erasure_cut_short_is_finished_at_the_start(tmp_path):
    """Killed after the commit: the next start rewrites the file, as if the erasure had come to its end."""
    gallery = open_gallery(tmp_path)
    gallery.enrol(EVERYONE, [crop("a")], fields("Ursula"))
    gallery.close()
    connection = sqlite3.connect(tmp_path / "gallery.sqlite")
    connection.executescript(
        "PRAGMA foreign_keys = ON; PRAGMA secure_delete = OFF; DELETE FROM sightings; DELETE FROM persons;"
        "UPDATE audit SET person_id = NULL; UPDATE counters SET value = 1 WHERE name = 'scrub_due';"
    )
    connection.close()
    assert b"Ursula" in (tmp_path / "gallery.sqlite").read_bytes()
    open_gallery(tmp_path).close()
    assert [name for name, data in files(tmp_path).items() if b"Ursula" in data] == []


def test_after_an_erasure_the_same_request_does_not_bring_them_back(gallery):
    gallery.enrol(EVERYONE, [crop("a")], fields("ada"), once())
    gallery.erase_person(EVERYONE, "ada")
    with pytest.raises(ErasedError, match="was erased"):
        gallery.enrol(EVERYONE, [crop("a")], fields("ada"), once())
    with pytest.raises(NotFoundError):
        gallery.erase_person(EVERYONE, "ada")
    assert gallery.sightings_indexed == 0


def test_what_an_interrupted_write_left_is_swept_at_the_start(tmp_path):
    gallery = open_gallery(tmp_path)
    gallery.enrol(EVERYONE, [crop("a")], fields())
    gallery.close()
    before = files(tmp_path / "crops")
    (tmp_path / "crops" / "unfinished" / "tmp1").write_bytes(b"half")
    (tmp_path / "crops" / "ab" / ("ab" * 32 + ".jpg")).write_bytes(b"nobody's")
    open_gallery(tmp_path).close()
    assert files(tmp_path / "crops") == before


def test_a_limited_caller_sees_its_cameras_only(gallery):
    (north,) = gallery.enrol(EVERYONE, [crop("a")], fields("ada", "north", tracklet_id="t1")).value
    (south,) = gallery.enrol(EVERYONE, [crop("b")], fields("ada", "south", tracklet_id="t2")).value
    gallery.enrol(EVERYONE, [crop("c")], fields("bob", "south"))
    gallery.enrol(EVERYONE, [crop("d")], fields("cy"))
    limited = Actor("limited", frozenset(["north"]))
    assert found(gallery, looking_like("b"), limited) == [north.sighting_id]
    for query in (Query(sighting_id=south.sighting_id), Query(stored=Filter(tracklets=("t2",)))):
        with pytest.raises(NotFoundError):
            found(gallery, query, limited)
    with gallery.reading(limited) as reading:
        seen = Appearance(north.sighting_id, "north", north.captured_at)
        assert reading.persons(0, 10).records == [reading.person("ada")] == [Person("ada", sightings=1, last_seen=seen)]
        for person_id in ("bob", "cy"):
            with pytest.raises(NotFoundError):
                reading.person(person_id)
    with pytest.raises(NotFoundError):
        gallery.change_sighting(limited, south.sighting_id, {"person_id": "mine"})
    with pytest.raises(ForbiddenError, match="got 'south'"):
        gallery.enrol(limited, [crop("e")], fields("ada", "south"))


def test_merged_people_are_one_and_what_the_first_lacks_comes_from_the_other(gallery):
    gallery.add_person(EVERYONE, "ada", None, ("red", "staff"), {"desk": 1, "floor": 2})
    gallery.add_person(EVERYONE, "bob", "Ada B.", ("blue", "staff"), {"desk": 9, "phone": 3})
    gallery.enrol(EVERYONE, [crop("a")], fields("ada"))
    gallery.enrol(EVERYONE, [crop("b")], fields("bob"), once())
    merged = gallery.merge(EVERYONE, "ada", "bob")
    assert (merged.value.name, merged.value.sightings) == ("Ada B.", 2)
    assert merged.value.tags == ("blue", "red", "staff")
    assert merged.value.metadata == {"desk": 1, "floor": 2, "phone": 3}
    with gallery.reading(EVERYONE) as reading:
        (line, *_) = reading.audit(None, 1).records
        assert (line.action, line.person_id, line.count, line.change) == ("merge", "ada", 1, merged.change)
        with pytest.raises(NotFoundError, match="'bob'"):
            reading.person("bob")


def test_erasing_a_merged_person_erases_what_spoke_of_the_other_id(gallery, tmp_path):
    gallery.enrol(EVERYONE, [crop("a")], fields("ada"))
    named = Once("k", "b", lambda person, change: f"{person} {change}")
    gallery.add_person(EVERYONE, "Ursula", "Ursula K.", (), {}, named)
    gallery.merge(EVERYONE, "ada", "Ursula")
    gallery.erase_person(EVERYONE, "ada")
    assert [name for name, data in files(tmp_path).items() if b"Ursula" in data] == []
    with pytest.raises(ErasedError):
        gallery.replay(EVERYONE, named)


def test_nobody_is_merged_with_themselves_or_by_a_limited_key(gallery):
    gallery.enrol(EVERYONE, [crop("a")], fields("ada", "north"))
    with pytest.raises(ConflictError, match="two people to merge, got 'ada' twice"):
        gallery.merge(EVERYONE, "ada", "ada")
    with pytest.raises(ForbiddenError, match="all cameras"):
        gallery.merge(Actor("limited", frozenset(["north"])), "ada", "ada")
    assert gallery.change == 1


def test_a_person_is_split_whole_or_not_at_all(gallery):
    one, two, three = gallery.enrol(EVERYONE, [crop("a"), crop("b"), crop("c")], fields("ada")).value
    (other,) = gallery.enrol(EVERYONE, [crop("d")], fields("bob")).value
    for some, message in (([], "got none"), ([one.sighting_id, other.sighting_id], "sightings of 'ada', got")):
        with pytest.raises(NotFoundError, match=message):
            gallery.split(EVERYONE, "ada", some, "cy")
    with pytest.raises(ConflictError, match="got the same one"):
        gallery.split(EVERYONE, "ada", [one.sighting_id], "ada")
    assert gallery.change == 2
    made_up = gallery.split(EVERYONE, "ada", [one.sighting_id, one.sighting_id]).value
    assert made_up.sightings == 1
    assert made_up.person_id not in ("ada", "bob")
    assert gallery.split(EVERYONE, "ada", [two.sighting_id, three.sighting_id], "bob").value.sightings == 3
    with gallery.reading(EVERYONE) as reading:
        assert reading.person("ada").sightings == 0


def test_labels_of_several_classifiers_at_once_are_all_kept(gallery):
    (sighting,) = gallery.enrol(EVERYONE, [crop("a")], fields()).value
    labels = [partial(gallery.label_sighting, EVERYONE, sighting.sighting_id, f"c{n}", f"label-{n}") for n in range(8)]
    together(gallery, *labels)
    with gallery.reading(EVERYONE) as reading:
        assert reading.sighting(sighting.sighting_id).attributes == {f"c{n}": f"label-{n}" for n in range(8)}
    with pytest.raises(NotFoundError):
        gallery.label_sighting(EVERYONE, "nothing", "c", "label")
