"""What was erased stays erased: a restored backup brings nobody back, and takes nobody else along."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from service.gallery.errors import HomeError, NotFoundError
from tests.service.gallery.conftest import EVERYONE, crop, fields, files, found, kept, looking_like, open_gallery


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A home with Ursula, Ada and a sighting of nobody, as it was backed up."""
    home = tmp_path / "backup"
    with closing(open_gallery(home)) as gallery:
        gallery.enrol(EVERYONE, [crop("u1"), crop("u2"), crop("u3")], fields("Ursula"))
        gallery.enrol(EVERYONE, [crop("a1")], fields("Ada"))
        gallery.enrol(EVERYONE, [crop("n1"), crop("n2")], fields())
    return home


def restored(backup: Path, used: Path) -> Path:
    """The backup copied over a home that was used since; the file of what was erased is not in a backup's way."""
    shutil.rmtree(used / "crops")
    for name in ("gallery.sqlite", "crops"):
        copy = shutil.copytree if (backup / name).is_dir() else shutil.copy
        copy(backup / name, used / name)
    return used


@pytest.fixture
def used(backup: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(backup, tmp_path / "used"))


def test_who_was_erased_since_the_backup_is_erased_again(backup, used, caplog):
    with closing(open_gallery(used)) as gallery:
        gallery.erase_person(EVERYONE, "Ursula")
        gallery.delete_sighting(EVERYONE, found(gallery, looking_like("n1"), top_k=1)[0])
    with closing(open_gallery(restored(backup, used))) as gallery:
        assert "4 sightings that had been erased since were erased again" in caplog.text
        assert gallery.sightings_indexed == 2
        with gallery.reading(EVERYONE) as reading, pytest.raises(NotFoundError):
            reading.person("Ursula")
        assert kept(used) == {crop("a1").jpeg, crop("n2").jpeg}
    left = [name for name, data in files(used).items() for text in (b"Ursula", crop("u1").jpeg) if text in data]
    assert left == []
    caplog.clear()
    open_gallery(used).close()
    assert caplog.text == ""


def test_a_sighting_that_had_moved_on_is_nobodys_and_stays(backup, used):
    with closing(open_gallery(used)) as gallery:
        (moved,) = found(gallery, looking_like("u1"), top_k=1)
        gallery.split(EVERYONE, "Ursula", [moved], "Ada")
        gallery.erase_person(EVERYONE, "Ursula")
    with closing(open_gallery(restored(backup, used))) as gallery, gallery.reading(EVERYONE) as reading:
        assert reading.sighting(moved).person_id is None
        assert gallery.sightings_indexed == 4


def test_whoever_was_merged_into_an_erased_person_is_erased_again_too(backup, used):
    with closing(open_gallery(used)) as gallery:
        gallery.merge(EVERYONE, "Ada", "Ursula")
        gallery.erase_person(EVERYONE, "Ada")
    with closing(open_gallery(restored(backup, used))) as gallery, gallery.reading(EVERYONE) as reading:
        assert reading.persons(0, 10).records == []
        assert gallery.sightings_indexed == 2


def test_another_person_of_the_same_id_is_not_taken_for_the_erased_one(backup, used):
    with closing(open_gallery(used)) as gallery:
        gallery.erase_person(EVERYONE, "Ursula")
        gallery.enrol(EVERYONE, [crop("new")], fields("Ursula"))
    with closing(open_gallery(used)) as gallery, gallery.reading(EVERYONE) as reading:
        assert reading.person("Ursula").sightings == 1


def test_a_file_cut_short_is_mended_from_the_store(used):
    with closing(open_gallery(used)) as gallery:
        gallery.erase_person(EVERYONE, "Ursula")
    erased = used / "erased"
    lines = erased.read_bytes()
    assert len(lines) == 4 * 65
    erased.write_bytes(lines[:-20])
    with closing(open_gallery(used)) as gallery:
        gallery.delete_sighting(EVERYONE, found(gallery, looking_like("n1"), top_k=1)[0])
    assert set(lines.split()) < set(erased.read_bytes().split())


def test_a_file_that_holds_something_else_is_refused(used):
    (used / "erased").write_text("Ursula\n")
    with pytest.raises(HomeError, match="64 hexadecimal digits"):
        open_gallery(used)


def test_a_file_that_cannot_be_written_delays_the_receipt(used, monkeypatch):
    monkeypatch.setattr("service.gallery.erasures.PATIENCE_S", 0.0)
    with closing(open_gallery(used)) as gallery:
        (used / "erased").rename(used / "aside")
        (used / "erased").mkdir()
        written = gallery.erase_person(EVERYONE, "Ursula")
        assert (written.value.completed_at, written.pending) == (None, ("tombstones",))
        (used / "erased").rmdir()
        (used / "aside").rename(used / "erased")
