"""A change of model: the old bundle answers until every sighting has a vector of the new one, then the new alone."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from reid.errors import VectorError
from service.gallery.crops import sha256_of
from service.gallery.errors import (
    BundleChangedError,
    ConflictError,
    DamageError,
    ForbiddenError,
    StoreError,
)
from service.gallery.records import Activation, Actor
from service.gallery.search import Query
from service.gallery.stores import bundle_in_force
from tests.service.gallery.conftest import (
    BUNDLE,
    DIMENSIONS,
    EVERYONE,
    OTHER,
    crop,
    embed,
    fields,
    files,
    found,
    looking_like,
    open_gallery,
    together,
)


def activate(gallery, bundle_id=OTHER, embedding=None, progress=lambda done, total: None):
    def embed_with(jpegs):
        return embed(jpegs, bundle_id)

    return gallery.activate(EVERYONE, bundle_id, DIMENSIONS[bundle_id], embedding or embed_with, progress).value


def enrol(gallery, *texts, bundle_id=BUNDLE, person_id=None):
    written = gallery.enrol(EVERYONE, [crop(text, bundle_id) for text in texts], fields(person_id))
    return [one.sighting_id for one in written.value]


def ranked(ids, texts, query, bundle_id):
    """The slow oracle: sightings by the cosine of their crops, as that bundle sees them."""
    asked = crop(query, bundle_id).embedding.astype(np.float64)
    scores = [crop(text, bundle_id).embedding.astype(np.float64) @ asked for text in texts]
    return [ids[place] for place in np.argsort(np.negative(scores), kind="stable")]


@pytest.fixture
def small_steps(monkeypatch):
    monkeypatch.setattr("service.gallery.activation._EMBEDDED_AT_ONCE", 3)


@pytest.mark.usefixtures("small_steps")
def test_the_new_bundle_answers_for_all_after_the_switch_and_the_old_one_until_then(gallery, tmp_path):
    texts = [f"{number}" for number in range(20)]
    ids = enrol(gallery, *texts)
    before, said = gallery.activation(), []

    def progress(done, total):
        said.append((done, total))
        assert found(gallery, looking_like("q"), top_k=20) == ranked(ids, texts, "q", BUNDLE)
        assert gallery.bundle_id == BUNDLE

    activation = activate(gallery, progress=progress)
    assert said[0] == (0, 20)
    assert said[-1] == (20, 20)
    assert (before.bundle_id, before.before) == (BUNDLE, None)
    assert activation == gallery.activation() == Activation(OTHER, 6, activation.since, BUNDLE)
    assert (gallery.bundle_id, gallery.dimension, gallery.sightings_indexed) == (OTHER, 6, 20)
    with gallery.reading(EVERYONE) as reading:
        (line, *_) = reading.audit(None, 1).records
    assert (line.action, line.change) == ("activate", gallery.change)
    assert found(gallery, looking_like("q", OTHER), top_k=20) == ranked(ids, texts, "q", OTHER)


@pytest.mark.usefixtures("small_steps")
def test_sightings_that_come_and_go_meanwhile_are_in_the_new_index_or_not(gallery):
    ids = dict(zip("abcdefgh", enrol(gallery, *"abcdefgh"), strict=True))
    steps = iter("stuvwxyz")

    def progress(done, total):
        if (text := next(steps, None)) is not None:
            ids[text] = enrol(gallery, text)[0]
            gallery.delete_sighting(EVERYONE, ids.pop(min(ids)))

    activate(gallery, progress=progress)
    assert found(gallery, looking_like("q", OTHER), top_k=20) == ranked([*ids.values()], [*ids], "q", OTHER)


def test_what_goes_or_comes_between_the_loading_and_the_switch_counts(gallery, monkeypatch):
    """An enrolment just before the switch is embedded too; a deletion is not undone by it."""
    ids = dict(zip("abc", enrol(gallery, *"abc"), strict=True))
    load, calls = gallery._load_into, []

    def load_and_interfere(prepared):
        load(prepared)
        calls.append(prepared.index.view().count())
        if len(calls) == 1:
            gallery.delete_sighting(EVERYONE, ids.pop("b"))
            ids["d"] = enrol(gallery, "d")[0]

    monkeypatch.setattr(gallery, "_load_into", load_and_interfere)
    activate(gallery)
    assert calls == [3, 4]  # with the deleted one, which goes at the switch
    assert gallery.sightings_indexed == 3
    assert found(gallery, looking_like("q", OTHER), top_k=9) == ranked([*ids.values()], [*ids], "q", OTHER)


def test_one_commit_with_the_switch_and_what_is_of_the_old_bundle(gallery, monkeypatch):
    """Whatever shares its transaction: no vector of the old bundle gets into the new index."""
    (one, *_) = enrol(gallery, *"abc", person_id="ada")
    refused = []

    def enrol_too_late():
        try:
            enrol(gallery, "late")
        except BundleChangedError as error:
            refused.append(str(error))

    write = gallery._write

    def with_others(actor, action, operation, once=None):
        done = []
        if action != "activate":
            return write(actor, action, operation, once)
        together(
            gallery,
            lambda: gallery.change_person(EVERYONE, "ada", {"name": "Ada"}),
            lambda: done.append(write(actor, action, operation, once)),
            enrol_too_late,
            lambda: gallery.delete_sighting(EVERYONE, one),
        )
        return done[0]

    monkeypatch.setattr(gallery, "_write", with_others)
    activate(gallery)
    assert refused == ["expected vectors of the bundle in force, cccccccccccc…, got those of bbbbbbbbbbbb…: ask again"]
    assert gallery.sightings_indexed == 2
    assert len(found(gallery, looking_like("a", OTHER))) == 2


def test_vectors_of_two_bundles_are_never_compared(gallery):
    (old,) = enrol(gallery, "a")
    activate(gallery)
    with pytest.raises(BundleChangedError, match="in force, cccccccccccc…, got those of bbbbbbbbbbbb…: ask again"):
        found(gallery, looking_like("a"))
    change = gallery.change
    with pytest.raises(BundleChangedError):
        enrol(gallery, "late")
    (new,) = enrol(gallery, "b", bundle_id=OTHER)
    assert gallery.change == change + 1
    assert found(gallery, looking_like("b", OTHER)) == ranked([old, new], ["a", "b"], "b", OTHER)
    assert found(gallery, Query(sighting_id=old)) == [new]


def test_to_go_back_is_to_activate_the_bundle_before_which_embeds_what_came_since(gallery):
    ids, embedded = enrol(gallery, *"abc"), []
    activate(gallery)
    ids += enrol(gallery, *"de", bundle_id=OTHER)

    def embed_with_the_first(jpegs):
        embedded.extend(jpegs)
        return embed(jpegs, BUNDLE)

    back = activate(gallery, gallery.activation().before, embed_with_the_first)
    assert embedded == [crop(text).jpeg for text in "de"]
    assert (back.bundle_id, back.before) == (BUNDLE, OTHER)
    assert found(gallery, looking_like("q"), top_k=9) == ranked(ids, "abcde", "q", BUNDLE)


def test_the_store_says_which_bundle_to_begin_with(tmp_path):
    store = tmp_path / "gallery.sqlite"
    assert bundle_in_force(store) is None
    gallery = open_gallery(tmp_path)
    ids = enrol(gallery, *"ab")
    activate(gallery)
    assert bundle_in_force(store) == OTHER
    gallery.close()
    again = open_gallery(tmp_path, bundle_in_force(store))
    assert again.activation().before == BUNDLE
    assert found(again, looking_like("q", OTHER)) == ranked(ids, "ab", "q", OTHER)
    again.close()


def test_a_bundle_that_was_put_in_force_by_opening_is_completed_by_activating_it(tmp_path):
    first = open_gallery(tmp_path)
    ids = enrol(first, *"abc")
    first.close()
    gallery = open_gallery(tmp_path, OTHER)
    ids += enrol(gallery, "d", bundle_id=OTHER)
    assert found(gallery, looking_like("q", OTHER)) == ids[3:]
    since = gallery.activation().since
    activate(gallery)
    assert gallery.activation().since == since
    assert found(gallery, looking_like("q", OTHER)) == ranked(ids, "abcd", "q", OTHER)
    change = gallery.change
    activate(gallery, embedding=lambda _: pytest.fail("all is embedded"))
    assert gallery.change == change
    gallery.close()


def test_a_change_that_was_stopped_goes_on_where_it_was(gallery, small_steps):
    enrol(gallery, *"abcdefgh")

    def stop_after_three(done, total):
        if done == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        activate(gallery, progress=stop_after_three)
    assert gallery.bundle_id == BUNDLE
    said = []
    activate(gallery, progress=lambda done, total: said.append(done))
    assert said == [3, 6, 8]


def test_erasing_somebody_erases_the_vectors_of_every_bundle(gallery, tmp_path):
    enrol(gallery, "a", person_id="ada")
    enrol(gallery, "b")
    activate(gallery)
    gallery.erase_person(EVERYONE, "ada")
    traces = [crop("a", bundle_id).embedding.tobytes() for bundle_id in (BUNDLE, OTHER)]
    assert [name for name, data in files(tmp_path).items() if any(trace in data for trace in traces)] == []


@pytest.mark.parametrize("rows", [np.ones((2, 6)), np.zeros((2, 6)), np.full((2, 6), np.nan), np.eye(6)[:1]])
def test_what_is_no_embedding_is_refused_and_nothing_is_kept(gallery, rows):
    enrol(gallery, "a", "b")
    with pytest.raises(VectorError, match="expected 2 unit vectors of 6 numbers, got"):
        activate(gallery, embedding=lambda _: rows.astype(np.float32))
    with gallery.reading(EVERYONE) as reading:
        assert reading.sightings_without_vector(OTHER) == (2, 2)


def test_a_crop_that_is_damaged_or_lost_is_named_and_the_old_bundle_stays(gallery):
    (one,) = enrol(gallery, "a")
    path = gallery._crops.path(*sha256_of([crop("a").jpeg]))
    path.write_bytes(b"torn")
    with pytest.raises(DamageError, match="expected the crop that was kept, got 4 other bytes"):
        activate(gallery)
    path.unlink()
    with pytest.raises(DamageError, match=f"expected the crop of '{one}', got none"):
        activate(gallery)
    assert found(gallery, looking_like("a")) == [one]


def test_a_switch_that_the_disk_refuses_did_not_happen(gallery, monkeypatch):
    (one,) = enrol(gallery, "a")

    def refuse(*_, **__):
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("service.gallery.activation.activations.begin_with", refuse)
        with pytest.raises(StoreError, match="database or disk is full"):
            activate(gallery)
    assert found(gallery, looking_like("a")) == [one]
    assert activate(gallery).bundle_id == OTHER


def test_one_change_at_a_time_by_a_key_for_all_cameras(gallery):
    enrol(gallery, "a")

    def progress(done, total):
        with pytest.raises(ConflictError, match="one change of model at a time"):
            activate(gallery)

    activate(gallery, progress=progress)
    with pytest.raises(ForbiddenError, match="for all cameras to change the model"):
        gallery.activate(Actor("limited", frozenset(["north"])), BUNDLE, 4, embed, lambda done, total: None)


def test_vectors_of_another_length_than_a_bundle_left_are_refused(gallery):
    enrol(gallery, "a")
    with pytest.raises(ConflictError, match="expected vectors of 4 numbers of this bundle, got 5"):
        gallery.activate(EVERYONE, BUNDLE, 5, embed, lambda done, total: None)


def test_a_store_without_a_bundle_in_force_says_so(tmp_path):
    store = tmp_path / "gallery.sqlite"
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA user_version = 3")
    assert bundle_in_force(store) is None


def test_without_sightings_a_change_is_a_switch_alone(gallery):
    assert activate(gallery).bundle_id == OTHER
    assert found(gallery, looking_like("a", OTHER)) == []
