"""The index in Milvus: what it answers, what it forgets, and what becomes of it when Milvus is away."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.gallery.errors import HomeError, IndexAwayError
from service.gallery.filters import Filter
from service.gallery.gallery import Gallery
from service.gallery.milvus.address import MilvusAddress
from service.gallery.milvus.collections import Collections
from service.gallery.records import Crop
from service.gallery.search import Query, Terms
from tests.service.gallery.conftest import (
    BUNDLE,
    EVERYONE,
    OTHER,
    embed,
    fields,
    found,
    looking_like,
    open_gallery,
    reopen_gallery,
    wait_until,
)
from tests.service.gallery.conftest import crop as crop_of
from tests.service.gallery.milvus.conftest import LITE, wait_until_followed

DIMENSION = 16
Open = Callable[..., Gallery]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens a gallery with an index; all are closed at the end."""
    pytest.importorskip("milvus_lite")
    with ExitStack() as galleries:

        def open_one(address: MilvusAddress = LITE, home: str = "home") -> Gallery:
            gallery = reopen_gallery(tmp_path / home, index_address=address)
            galleries.callback(gallery.close)
            return gallery

        yield open_one


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The depths of the searches that Milvus was asked for."""
    asked: list[int] = []
    search = Collections.search

    def counted(self, collection, queries, depth, wanted):
        asked.append(depth)
        return search(self, collection, queries, depth, wanted)

    monkeypatch.setattr(Collections, "search", counted)
    return asked


def enrol(gallery: Gallery, texts: str, person_id: str | None = None, camera_id: str | None = None) -> list[str]:
    written = gallery.enrol(EVERYONE, [crop_of(text) for text in texts], fields(person_id, camera_id))
    return [sighting.sighting_id for sighting in written.value]


def found_at_last(gallery: Gallery, text: str) -> list[str]:
    """What a search finds once Milvus answers; until then, it must say that it does not."""
    answers: list[list[str]] = []

    def answered() -> bool:
        with suppress(IndexAwayError):
            answers.append(found(gallery, looking_like(text), top_k=100))
        return bool(answers)

    wait_until(answered)
    return answers[0]


def crowd(seed: int, rows: int) -> np.ndarray:
    """Unit rows of few people, many nearly or quite alike."""
    rng = np.random.default_rng(seed)
    people = rng.standard_normal((5, DIMENSION), np.float32)
    some = people[rng.integers(0, 5, rows)] + rng.choice([0, 1e-3]) * rng.standard_normal((rows, DIMENSION))
    return (some / np.linalg.norm(some, axis=1, keepdims=True)).astype(np.float16)


@pytest.mark.usefixtures("_all_in_milvus")
def test_among_crowds_of_people_alike_the_answers_are_those_of_brute_force(tmp_path, searches):
    pytest.importorskip("milvus_lite")
    vectors = crowd(1, 700)
    gallery = Gallery(tmp_path, tmp_path / "gallery.sqlite", BUNDLE, DIMENSION, LITE)
    try:
        ids = []
        for number, camera in ((0, "north"), (1, "south"), (2, "west")):
            crops = [Crop(b"%d" % at, 8, 8, vectors[at], BUNDLE) for at in range(number, 700, 3)]
            written = gallery.enrol(EVERYONE, crops, fields(None, camera))
            ids += [(sighting.row, sighting.sighting_id, camera) for sighting in written.value]
        stored = np.concatenate([vectors[number::3] for number in range(3)]).astype(np.float64)

        @settings(max_examples=25)
        @given(st.integers(0, 699), st.integers(1, 60), st.sets(st.sampled_from(["north", "south", "west"])))
        def check(at: int, top_k: int, cameras: set[str]) -> None:
            query = Query(embeddings=vectors[at : at + 1].astype(np.float32), bundle_id=BUNDLE)
            ((result,), _) = gallery.search(EVERYONE, [(query, Terms(Filter(cameras=tuple(cameras)), top_k))])
            unit = vectors[at].astype(np.float64) / np.linalg.norm(vectors[at].astype(np.float64))
            scores = (stored @ unit.astype(np.float32).astype(np.float64)).astype(np.float32)
            left = [number for number in range(700) if not cameras or ids[number][2] in cameras]
            best = sorted(left, key=lambda number: (-scores[number], ids[number][0]))[:top_k]
            np.testing.assert_allclose([match.score for match in result.matches], scores[best], atol=3e-7)
            assert (result.searched, result.approximate) == (len(left), False)
            assert {match.sighting.camera_id for match in result.matches} <= (cameras or {"north", "south", "west"})

        check()
    finally:
        gallery.close()
    assert max(searches) > 128, "nothing was near enough to need a deeper look"


@pytest.mark.usefixtures("_all_in_milvus")
def test_an_index_that_may_miss_some_says_so(opened, searches):
    gallery = opened(MilvusAddress(kind="hnsw"))
    enrol(gallery, "abc")
    ((result,), _) = gallery.search(EVERYONE, [(looking_like("a"), Terms())])
    assert result.approximate
    assert len(result.matches) == 3
    assert searches


def test_what_was_erased_is_in_no_file_of_the_index(opened, tmp_path):
    """Files of the index are compressed: that they are others than before is what is looked at, and what Milvus has."""
    gallery = opened()
    enrol(gallery, "abc", "ada")
    enrol(gallery, "d", "bob")
    wait_until_followed(gallery)
    before = gallery._active.index._live
    folder = tmp_path / "home" / "milvus" / "index.db" / "collections"
    assert (folder / before.name).is_dir()
    assert gallery.erase_person(EVERYONE, "ada").pending == ()
    after = gallery._active.index._live
    assert not (folder / before.name).exists()
    assert after.collections.count(after.name) == 1
    assert len(found(gallery, looking_like("a"))) == 1


@pytest.mark.usefixtures("_all_in_milvus")
def test_an_erasure_does_not_wait_for_those_that_come_after_it(opened, monkeypatch):
    """Where something is removed whenever a collection is made, each is forgotten all the same."""
    gallery = opened()
    enrol(gallery, "abc", "ada")
    enrol(gallery, "0123456789" * 9)
    wait_until_followed(gallery)
    index, make, rows = gallery._active.index, Collections.make, iter(range(4, 90))

    def make_and_remove(self, collection, dimension):
        make(self, collection, dimension)
        index.remove(np.array([next(rows)]))

    monkeypatch.setattr(Collections, "make", make_and_remove)
    erased = gallery.erase_person(EVERYONE, "ada")
    assert erased.pending == ()
    assert erased.value.completed_at is not None
    assert not index.is_followed
    monkeypatch.undo()


@pytest.mark.usefixtures("_all_in_milvus")
def test_new_rows_do_not_wait_for_another_collection_to_be_filled(opened, monkeypatch):
    """Not even for one that is never full."""
    monkeypatch.setattr("service.gallery.erasures.PATIENCE_S", 0.0)
    monkeypatch.setattr("service.gallery.milvus.index._PUT_AT_ONCE", 1)
    gallery = opened()
    enrol(gallery, "abc", "ada")
    wait_until_followed(gallery)
    index, put = gallery._active.index, Collections.put
    before = index._live.name

    def put_and_enrol(self, collection, rows, vectors):
        put(self, collection, rows, vectors)
        if collection != before:
            enrol(gallery, "z")

    monkeypatch.setattr(Collections, "put", put_and_enrol)
    assert gallery.delete_sighting(EVERYONE, found(gallery, looking_like("a"))[0]).pending == ("index",)
    (late,) = enrol(gallery, "late")[:1]
    wait_until(lambda: index._next is not None)
    assert late in found_at_last(gallery, "l")
    assert index._live.name == before
    monkeypatch.undo()
    wait_until(lambda: gallery.pending == ())


@pytest.mark.usefixtures("_all_in_milvus")
def test_what_went_long_ago_is_named_in_no_search(opened, monkeypatch):
    gallery = opened()
    enrol(gallery, "abc", "ada")
    enrol(gallery, "defg", "bob")
    wait_until_followed(gallery)
    gallery.erase_person(EVERYONE, "ada")
    wait_until_followed(gallery)
    search, expressions = Collections.search, []

    def noted(self, collection, queries, depth, wanted):
        expressions.append(wanted)
        return search(self, collection, queries, depth, wanted)

    monkeypatch.setattr(Collections, "search", noted)
    assert len(found(gallery, looking_like("d"))) == 4
    assert expressions == [""]


@pytest.mark.usefixtures("_all_in_milvus")
def test_another_bundle_has_another_collection_and_the_one_before_goes(opened):
    gallery = opened()
    enrol(gallery, "abc", "ada")
    wait_until_followed(gallery)
    before = gallery._active.index._live.name
    gallery.activate(EVERYONE, OTHER, 6, embed, lambda done, total: None)
    assert len(found(gallery, looking_like("a", OTHER))) == 3
    wait_until_followed(gallery)
    live = gallery._active.index._live
    assert live.name != before
    assert live.collections._client.list_collections() == [live.name]


@pytest.mark.usefixtures("_all_in_milvus")
def test_where_milvus_is_away_writes_go_on_and_are_caught_up(opened, server, searches):
    gallery = opened(server.address())
    first = enrol(gallery, "a", "ada")
    assert found(gallery, looking_like("a")) == first
    server.kill()
    wait_until(lambda: gallery.index_state == "milvus is away")
    second = enrol(gallery, "b", "bob")
    with pytest.raises(IndexAwayError):
        found(gallery, looking_like("a"))
    erased = gallery.erase_person(EVERYONE, "ada")
    assert erased.pending == ("index",)
    assert erased.value.completed_at is None
    server.start()
    wait_until(lambda: gallery.index_state == "milvus")
    wait_until_followed(gallery)
    assert found(gallery, looking_like("a")) == second
    wait_until(lambda: gallery.pending == ())
    with gallery.reading(EVERYONE) as reading:
        assert reading.receipt(erased.value.receipt_id).completed_at is not None
    assert searches


@pytest.mark.usefixtures("_all_in_milvus")
def test_a_milvus_killed_while_it_is_written_to_loses_nothing(opened, server):
    gallery = opened(server.address())
    ids: list[str] = []
    for kill in range(3):
        for text in "abcdefgh":
            ids += enrol(gallery, f"{text}{kill}")
        server.kill()
        ids += enrol(gallery, f"z{kill}")
        server.start()
    assert sorted(found_at_last(gallery, "a0")) == sorted(ids)


@pytest.mark.usefixtures("_all_in_milvus")
def test_a_milvus_that_lost_its_rows_is_filled_again(opened, server):
    gallery = opened(server.address())
    ids = enrol(gallery, "abc")
    wait_until_followed(gallery)
    live = gallery._active.index._live
    live.collections.drop(live.name)
    assert sorted(found_at_last(gallery, "a")) == sorted(ids)
    assert gallery._active.index._live.name != live.name


@pytest.mark.usefixtures("_all_in_milvus")
def test_rows_whose_put_had_no_answer_are_found_once_and_forgotten(opened, monkeypatch):
    gallery = opened()
    enrol(gallery, "ab", "ada")
    wait_until_followed(gallery)
    before = gallery._active.index._live.name
    put, lost = Collections.put, []

    def without_answer(self, collection, rows, vectors):
        put(self, collection, rows, vectors)
        if len(lost) < 3:
            lost.append(rows)
            raise IndexAwayError("expected a Milvus that answers, got none")

    monkeypatch.setattr(Collections, "put", without_answer)
    ids = enrol(gallery, "cd", "bob")
    assert set(ids) <= set(found_at_last(gallery, "c"))
    assert len(found(gallery, looking_like("c"), top_k=100)) == 4
    assert len(lost) == 3
    assert gallery._active.index._live.name == before  # it was not filled anew
    gallery.erase_person(EVERYONE, "bob")
    wait_until_followed(gallery)
    live = gallery._active.index._live
    assert live.name != before
    assert live.collections._client.list_collections() == [live.name]
    assert live.collections.count(live.name) == 2


@pytest.mark.usefixtures("_all_in_milvus")
def test_a_failure_that_nobody_thought_of_is_said_and_tried_again(opened, monkeypatch, caplog):
    gallery = opened()
    enrol(gallery, "a")
    wait_until_followed(gallery)
    put, failing = Collections.put, [True]

    def full(self, collection, rows, vectors):
        if failing:
            raise MemoryError
        put(self, collection, rows, vectors)

    monkeypatch.setattr(Collections, "put", full)
    enrol(gallery, "b")
    wait_until(lambda: gallery.index_state == "milvus is away")
    with pytest.raises(IndexAwayError, match="MemoryError"):
        found(gallery, looking_like("a"))
    assert "Traceback" in caplog.text
    failing.clear()
    assert len(found_at_last(gallery, "a")) == 2


@pytest.mark.usefixtures("_all_in_milvus")
def test_over_a_link_that_fails_now_and_then_another_collection_is_full_some_time(opened, monkeypatch):
    monkeypatch.setattr("service.gallery.milvus.index._PUT_AT_ONCE", 1)
    gallery = opened()
    ids = enrol(gallery, "abcdefgh")
    wait_until_followed(gallery)
    make, put, made, asked = Collections.make, Collections.put, [], []

    def counted(self, collection, dimension):
        made.append(collection)
        make(self, collection, dimension)

    def failing(self, collection, rows, vectors):
        asked.append(collection)
        if len(asked) % 2:
            raise IndexAwayError("expected a Milvus that answers, got none")
        put(self, collection, rows, vectors)

    monkeypatch.setattr(Collections, "make", counted)
    monkeypatch.setattr(Collections, "put", failing)
    gallery.delete_sighting(EVERYONE, ids[0])
    wait_until_followed(gallery)
    assert len(asked) == 2 * len(ids)  # of the one that went nothing is put, but it is asked for
    assert made == [gallery._active.index._live.name]


@pytest.mark.usefixtures("_all_in_milvus")
def test_a_start_makes_it_anew_and_leaves_other_galleries_alone(opened, server):
    gallery, other = opened(server.address()), opened(server.address(), "other")
    ids, others = enrol(gallery, "abc"), enrol(other, "de")
    wait_until_followed(gallery)
    wait_until_followed(other)
    gallery.close()
    gallery = opened(server.address())
    assert sorted(found(gallery, looking_like("a"))) == sorted(ids)
    assert sorted(found(other, looking_like("a"))) == sorted(others)
    assert len(gallery._active.index._collections._client.list_collections()) == 2


def test_a_gallery_begins_without_milvus(opened):
    gallery = opened(MilvusAddress.parse("milvus://127.0.0.1:1"))
    enrol(gallery, "a")
    wait_until(lambda: gallery.index_state == "milvus is away")
    with pytest.raises(IndexAwayError):
        found(gallery, looking_like("a"))


def test_without_its_extra_it_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("service.gallery.milvus.collections.find_spec", lambda name: None)
    with pytest.raises(HomeError, match=r"reid-service\[milvus\]"):
        open_gallery(tmp_path, index_address=LITE)


@pytest.mark.parametrize(
    "text", ["milvus://", "milvus://h?index=ivf", "milvus://h?x=1", "faiss://x", "milvus-lite://x", "milvus://h:port"]
)
def test_an_address_that_cannot_be_is_refused(text):
    with pytest.raises(ValueError, match=r"expected|Port"):
        MilvusAddress.parse(text)


def test_an_address_says_who_asks():
    address = MilvusAddress.parse("milvuss://ada:p%40ss@h:1/yard?index=hnsw")
    assert address == MilvusAddress("https://h:1", "ada:p@ss", "yard", "hnsw")
