"""A home is one store and its crops: they know each other, and nobody else can read them."""

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from service.gallery.crops import sha256_of
from service.gallery.errors import HomeError, StoreError
from service.gallery.records import Crop
from service.gallery.sqlite.keys import open_keys
from service.gallery.sqlite.schema import _VERSION_1
from tests.service.gallery.conftest import (
    BUNDLE,
    EVERYONE,
    crop,
    fields,
    files,
    found,
    kept,
    looking_like,
    open_gallery,
)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A closed home with the crops a and b."""
    gallery = open_gallery(tmp_path)
    gallery.enrol(EVERYONE, [crop("a"), crop("b")], fields("ada"))
    gallery.close()
    return tmp_path


def test_a_new_store_beside_crops_is_refused_and_takes_none_of_them(filled):
    for _ in range(2):
        with pytest.raises(HomeError, match="kept with, got another or a new one; set REID_STORE"):
            open_gallery(filled, address=filled / "typo.sqlite")
    assert kept(filled) == {crop("a").jpeg, crop("b").jpeg}
    open_gallery(filled).close()


def test_the_store_of_another_home_is_refused_and_takes_no_crops(filled, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    gallery = open_gallery(other)
    gallery.enrol(EVERYONE, [crop("c")], fields("bob"))
    gallery.close()
    with pytest.raises(HomeError, match="restore both from one backup"):
        open_gallery(filled, address=other / "gallery.sqlite")
    assert kept(filled) == {crop("a").jpeg, crop("b").jpeg}


def test_crops_restored_before_their_store_wait_for_it(filled):
    (filled / "gallery.sqlite").rename(filled / "backup")
    with pytest.raises(HomeError, match="a new one"):
        open_gallery(filled)
    (filled / "backup").rename(filled / "gallery.sqlite")
    gallery = open_gallery(filled)
    assert len(found(gallery, looking_like("a"))) == 2
    gallery.close()


def test_a_store_restored_without_its_crops_is_refused(filled):
    (filled / "crops").rename(filled / "elsewhere")
    with pytest.raises(HomeError, match=r"expected the 2 crops of this store .* got 0"):
        open_gallery(filled)


def test_a_folder_of_the_first_version_is_taken_over_by_the_store_that_needs_it(filled):
    """The first version wrote no id into either."""
    (filled / "crops" / "store").unlink()
    (filled / "crops" / "ab" / ("ab" * 32 + ".jpg")).write_bytes(b"left by a killed write")
    with pytest.raises(HomeError, match=r"expected an empty .* beside a new store, got 3 crops"):
        open_gallery(filled, address=filled / "new.sqlite")
    open_gallery(filled).close()
    assert kept(filled) == {crop("a").jpeg, crop("b").jpeg}


def test_a_store_of_the_first_version_is_brought_up_to_date(tmp_path):
    connection = sqlite3.connect(tmp_path / "gallery.sqlite")
    connection.executescript(f"{_VERSION_1} INSERT INTO receipts VALUES ('r', 'h', 1, 2, 3); PRAGMA user_version = 1;")
    connection.close()
    gallery = open_gallery(tmp_path)
    with gallery.reading(EVERYONE) as reading:
        receipt = reading.receipt("r")
        assert (receipt.images, receipt.completed_at.us, len(reading.seal_key())) == (2, 3, 32)
    gallery.close()


def test_nobody_else_can_read_the_home_even_where_it_was_there_before(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        gallery = open_gallery(home)
        gallery.enrol(EVERYONE, [crop("a")], fields())
        open_to_others = [path for path in home.rglob("*") if path.stat().st_mode & 0o077]
        gallery.close()
    finally:
        os.umask(before)
    assert open_to_others == []


def test_a_file_that_others_could_read_is_closed_to_them(filled):
    (filled / "gallery.sqlite").chmod(0o644)
    open_gallery(filled).close()
    assert (filled / "gallery.sqlite").stat().st_mode & 0o077 == 0


def test_a_store_that_is_refused_is_let_go(tmp_path):
    (tmp_path / "gallery.sqlite").write_bytes(b"not a database" * 1000)
    before = len(list(Path("/proc/self/fd").iterdir()))
    errors = []  # whose tracebacks keep alive what was not closed
    for attempt in (open_gallery, lambda home: open_keys(home / "gallery.sqlite").__enter__()):
        with pytest.raises(HomeError, match="expected a SQLite store") as caught:
            attempt(tmp_path)
        errors.append(caught.value)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("vector", [[np.nan, 0, 0, 1], [np.inf, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0]])
def test_what_no_bundle_may_give_is_a_bug_and_nothing_of_it_is_kept(tmp_path, vector):
    gallery = open_gallery(tmp_path)
    broken = Crop(b"jpeg", 32, 64, np.array(vector, np.float16), BUNDLE)
    before = files(tmp_path / "crops")
    with pytest.raises(AssertionError, match=r"expected a unit vector of shape \(4,\), got"):
        gallery.enrol(EVERYONE, [crop("a"), broken], fields())
    assert files(tmp_path / "crops") == before
    gallery.close()
    again = open_gallery(tmp_path)
    assert (again.change, again.sightings_indexed) == (0, 0)
    again.close()


def test_when_the_disk_refuses_the_second_crop_the_first_goes_too(gallery, tmp_path):
    jpegs = sorted([crop("a"), crop("b")], key=lambda one: one.jpeg)
    blocked = gallery._crops.path(*sha256_of([jpegs[1].jpeg])).parent
    blocked.rmdir()
    blocked.write_bytes(b"no folder")
    with pytest.raises(StoreError, match="could not be written: Not a directory"):
        gallery.enrol(EVERYONE, jpegs, fields())
    assert kept(tmp_path) == set()
    assert gallery.change == 0
