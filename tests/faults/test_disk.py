"""A disk that is full, read-only or damaged: an error that says so, and nothing lost that was acknowledged."""

import itertools
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from service.gallery.crops import sha256_of
from service.gallery.errors import DamageError, HomeError, StoreError
from service.gallery.filters import Filter
from service.gallery.gallery import Gallery
from service.gallery.records import Crop
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
    wait_until,
)

DISK_BYTES = 32 * 2**20  # SQLite's log alone grows to 16 MiB


@pytest.fixture
def opened() -> Iterator[Callable[[Path], Gallery]]:
    """Opens galleries that are closed however the test ends."""
    with ExitStack() as stack:

        def open_(folder: Path) -> Gallery:
            gallery = open_gallery(folder)
            stack.callback(gallery.close)
            return gallery

        yield open_


@pytest.fixture
def disk() -> Iterator[Path]:
    """A small disk of its own, outside the folders that pytest keeps and clears away."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as mounted:
        folder = Path(name) / "disk"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting a small disk takes root")
        # Lazily: a file that a failed test left open must not keep the disk there.
        mounted.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=True)
        yield folder


def fill(disk: Path) -> Path:
    """Leave not a byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return filler


def test_on_a_full_disk_writes_are_refused_and_what_was_acknowledged_stays(disk, opened):
    gallery = opened(disk)
    kept_ids = [
        gallery.enrol(EVERYONE, [crop(f"{number}")], fields("ada")).value[0].sighting_id for number in range(20)
    ]
    filler = fill(disk)
    with pytest.raises(StoreError, match="could not"):
        gallery.enrol(EVERYONE, [crop("more")], fields("bob"))
    with pytest.raises(StoreError, match="could not write, and kept nothing"):
        add_people_for_ever(gallery)  # the log has some room left
    with gallery.reading(EVERYONE) as reading:
        assert reading.person("ada").sightings == 20
    filler.unlink()
    more = gallery.enrol(EVERYONE, [crop("more")], fields("bob")).value[0].sighting_id
    gallery.close()
    again = opened(disk)
    for number, sighting_id in enumerate(kept_ids):
        assert found(again, looking_like(f"{number}"), top_k=1) == [sighting_id]
    assert found(again, looking_like("more"), top_k=1) == [more]
    assert kept(disk) == {crop(text).jpeg for text in [*map(str, range(20)), "more"]}


def test_a_disk_that_fills_up_while_it_is_written_keeps_each_write_whole_or_not_at_all(disk, opened):
    gallery, done = opened(disk), []
    large = np.random.default_rng(0).bytes(400_000)
    with pytest.raises(StoreError, match="could not"):
        enrol_for_ever(gallery, large, done)
    assert len(done) > 20
    gallery.close()
    subprocess.run(["mount", "-o", f"remount,size={2 * DISK_BYTES}", str(disk)], check=True)
    again = opened(disk)
    for number, sighting_id in done:
        assert again.crop(EVERYONE, sighting_id) == bulky(f"{number}", large).jpeg
    assert again.sightings_indexed == len(done) == len(kept(disk))


def add_people_for_ever(gallery: Gallery) -> None:
    for number in itertools.count():
        gallery.add_person(EVERYONE, f"{number} {'x' * 4000}", None, (), {})


def enrol_for_ever(gallery: Gallery, large: bytes, done: list[tuple[int, str]]) -> None:
    for number in itertools.count():
        (sighting,) = gallery.enrol(EVERYONE, [bulky(f"{number}", large)], fields(f"p{number}")).value
        done.append((number, sighting.sighting_id))


def bulky(text: str, more: bytes) -> Crop:
    one = crop(text)
    return Crop(one.jpeg + more, one.width_px, one.height_px, one.embedding, BUNDLE)


def test_an_erasure_on_a_full_disk_is_pending_until_there_is_room(disk, monkeypatch, opened):
    monkeypatch.setattr("service.gallery.erasures.PATIENCE_S", 0.0)
    gallery = opened(disk)
    gallery.enrol(EVERYONE, [crop(f"{number}") for number in range(50)], fields("Ursula"))
    gallery.enrol(EVERYONE, [crop("b")], fields("bob", metadata={"note": "x" * 600_000}))
    with gallery.reading(EVERYONE) as reading:  # the log cannot be emptied meanwhile: the deletion itself finds room
        reading.change()
        filler = fill(disk)
        filler.write_bytes(filler.read_bytes()[: -400 * 1024])
        written = gallery.erase_person(EVERYONE, "Ursula")
    assert written.pending == ("database",)
    filler.unlink()
    wait_until(lambda: gallery.pending == ())
    assert [name for name, data in files(disk).items() if b"Ursula" in data] == []
    gallery.close()


def test_a_read_only_disk_is_refused_by_name(disk, opened):
    gallery = opened(disk)
    gallery.enrol(EVERYONE, [crop("a")], fields("ada"))
    gallery.close()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(HomeError, match=r"expected a REID_HOME that can be written, got .*: Read-only file system"):
        opened(disk)
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    again = opened(disk)
    assert len(found(again, looking_like("a"))) == 1


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    gallery = open_gallery(tmp_path)
    gallery.enrol(EVERYONE, [crop(f"{number}") for number in range(300)], fields("ada", metadata={"note": "n" * 500}))
    gallery.close()
    return tmp_path


@pytest.mark.parametrize("page", [3, 5, 9])
def test_a_corrupted_page_is_refused_at_the_start_and_nothing_is_removed(filled, page, opened):
    store = filled / "gallery.sqlite"
    whole, before = store.read_bytes(), kept(filled)
    with store.open("r+b") as file:
        file.seek(16384 * page)
        file.write(np.random.default_rng(1).bytes(16384))
    with pytest.raises(HomeError, match=r"expected a SQLite store at .* got a damaged one: .*; restore a backup"):
        opened(filled)
    assert kept(filled) == before
    store.write_bytes(whole)
    opened(filled).close()


def test_a_vector_that_the_disk_changed_is_refused_at_the_start(filled, opened):
    store = filled / "gallery.sqlite"
    vector = crop("7").embedding.tobytes()
    assert store.read_bytes().count(vector) == 1
    store.write_bytes(store.read_bytes().replace(vector, bytes(len(vector))))
    with pytest.raises(HomeError, match="expected unit vectors in the store, got another at row 8"):
        opened(filled)


def test_a_page_that_goes_bad_while_the_gallery_is_open_is_said(filled, opened):
    gallery, store = opened(filled), filled / "gallery.sqlite"
    with store.open("r+b") as file:
        file.seek(16384)
        file.write(b"\xff" * (store.stat().st_size - 16384))
    # The gallery's own reader still holds the pages that it read at the start.
    with (
        gallery.reading(EVERYONE),
        pytest.raises(DamageError, match=r"a store that is whole, got: .*; restore a backup"),
    ):
        read_everything(gallery)


def read_everything(gallery: Gallery) -> None:
    with gallery.reading(EVERYONE) as reading:
        reading.sightings(Filter(), 0, 1000)


def test_a_torn_image_file_is_said_and_mended_when_the_same_crop_comes_again(filled, opened):
    gallery = opened(filled)
    (sighting, *_) = found(gallery, looking_like("5"))
    path = gallery._crops.path(*sha256_of([crop("5").jpeg]))
    path.write_bytes(crop("5").jpeg[:7])
    with pytest.raises(DamageError, match="expected the crop that was kept, got 7 other bytes"):
        gallery.crop(EVERYONE, sighting)
    gallery.enrol(EVERYONE, [crop("5")], fields("ada"))
    assert gallery.crop(EVERYONE, sighting) == crop("5").jpeg
    gallery.close()
