"""Export and import: all of a gallery comes over, nothing twice, nobody who was erased, and nothing hostile."""

import base64
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest
from backports import zstd
from PIL import Image

from reid.images import encode_crop
from service.gallery import archive
from service.gallery.archive import ArchiveWriter, read_archive
from service.gallery.errors import ArchiveError, ConflictError, ForbiddenError, NotFoundError
from service.gallery.filters import Filter
from service.gallery.gallery import Gallery
from service.gallery.records import Actor, Crop, Moment, SightingFields
from service.gallery.transfer import Imported, export_gallery, import_archive
from tests.service.gallery.conftest import BUNDLE, EVERYONE, crop, found, kept, looking_like, open_gallery

OTHER_BUNDLE = "c" * 64


def picture(text: str) -> Crop:
    """The vector of `text` with a real JPEG."""
    one = crop(text)
    blocks = np.frombuffer(one.embedding.tobytes() * 3, np.uint8).reshape(4, 2, 3)
    image = Image.fromarray(blocks).resize((one.width_px, one.height_px))
    return Crop(encode_crop(image), one.width_px, one.height_px, one.embedding, one.bundle_id)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Gallery]]:
    """Opens galleries by name, and closes them however the test ends."""
    with ExitStack() as stack:

        def open_(name: str, bundle_id: str = BUNDLE) -> Gallery:
            return stack.enter_context(closing(open_gallery(tmp_path / name, bundle_id)))

        yield open_


@pytest.fixture
def full(opened, monkeypatch) -> Gallery:
    """People with and without sightings, sightings with and without people, over several batches."""
    monkeypatch.setattr("service.gallery.transfer._SIGHTINGS_AT_ONCE", 4)
    monkeypatch.setattr("service.gallery.transfer._PEOPLE_AT_ONCE", 2)
    gallery = opened("full")
    gallery.add_person(EVERYONE, "Ada", "Ada L.", ("staff",), {"desk": 1})
    gallery.add_person(EVERYONE, "alone", None, (), {})
    for number in range(11):
        person_id = ["Ada", "Ursula", None][number % 3]
        fields = SightingFields(Moment(number, 60), person_id, "north", f"t{number}", ("red",), {"n": number})
        gallery.enrol(EVERYONE, [picture(f"{number}")], fields)
    gallery.enrol(EVERYONE, [picture("1"), picture("1")], SightingFields(Moment(1)))
    return gallery


def exported(gallery: Gallery) -> bytes:
    file = io.BytesIO()
    export_gallery(gallery, EVERYONE, file)
    return file.getvalue()


def taken_in(gallery: Gallery, data: bytes) -> Imported:
    return import_archive(gallery, EVERYONE, io.BytesIO(data))


def everything(gallery: Gallery) -> tuple[object, ...]:
    with gallery.reading(EVERYONE) as reading:
        people = reading.persons(0, 1000).records
        sightings = reading.sightings(Filter(), 0, 1000).records
        vectors = reading.vectors_of_all_bundles([one.row for one in sightings])
    return people, [(one.sighting_id, vars(one) | {"row": 0}, vectors[one.row]) for one in sightings]


def test_what_comes_out_goes_in_and_is_found_alike(full, opened, tmp_path):
    data, empty, told = exported(full), opened("empty"), []
    assert import_archive(empty, EVERYONE, io.BytesIO(data), told.append) == Imported(persons=3, sightings=13)
    assert told[-1] == 13
    assert everything(empty) == everything(full)
    assert kept(tmp_path / "empty") == kept(tmp_path / "full")
    for text in "3", "1":
        assert found(empty, looking_like(text), top_k=13) == found(full, looking_like(text), top_k=13)
    assert exported(empty) == data


def test_a_second_import_changes_nothing(full, opened):
    data, other = exported(full), opened("other")
    taken_in(other, data)
    before = everything(other)
    assert taken_in(other, data) == Imported(known=13)
    assert everything(other) == before


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
def test_an_import_cut_short_keeps_whole_batches_and_is_begun_again(full, opened, tmp_path, share):
    plain = zstd.decompress(exported(full))
    cut, other = zstd.compress(plain[: int(share * len(plain))]), opened("other")
    with pytest.raises(ArchiveError, match="expected a whole archive"):
        taken_in(other, cut)
    part = other.sightings_indexed
    assert {other.crop(EVERYONE, one) for one in found(other, looking_like("1"), top_k=99)} == kept(tmp_path / "other")
    again = taken_in(other, exported(full))
    assert (again.known, again.sightings) == (part, 13 - part)
    assert everything(other) == everything(full)


def test_who_was_erased_here_does_not_come_back_and_what_had_moved_on_is_nobodys(full, opened, tmp_path):
    data = exported(full)
    (moved,) = found(full, looking_like("4"), top_k=1)
    full.split(EVERYONE, "Ursula", [moved], "Ada")
    full.delete_sighting(EVERYONE, moved)
    full.erase_person(EVERYONE, "Ursula")
    assert taken_in(full, data) == Imported(known=9, erased=4)
    with full.reading(EVERYONE) as reading, pytest.raises(NotFoundError):
        reading.person("Ursula")
    assert kept(tmp_path / "full") == {picture(f"{number}").jpeg for number in (0, 1, 2, 3, 5, 6, 8, 9)}
    assert len(exported(full)) < len(data)


def test_vectors_of_other_bundles_come_along_and_are_not_searched(full, opened):
    other = opened("other", OTHER_BUNDLE)
    taken_in(other, exported(full))
    assert other.sightings_indexed == 0
    other.close()
    again = opened("other")
    assert again.sightings_indexed == 13


def test_a_limited_key_exports_and_imports_nothing(full):
    limited = Actor("limited", frozenset(["north"]))
    for act in (export_gallery, import_archive):
        with pytest.raises(ForbiddenError):
            act(full, limited, io.BytesIO())


def parts(data: bytes) -> list[tuple[str, bytes]]:
    return list(archive._parts(io.BytesIO(data)))


def packed(*files: tuple[str, bytes], **header: object) -> bytes:
    """A tar of those files; `header` fields are set in the last."""
    out = b""
    for number, (name, data) in enumerate(files, 1):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        for field, value in header.items() if number == len(files) else ():
            setattr(info, field, value)
        out += info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)
    return zstd.compress(out + bytes(1024))


ABOUT = ("archive.json", json.dumps({"format": 1, "bundles": {BUNDLE: 4}}).encode())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "expected a whole"),
        (b"PK\3\4 something else", "expected a whole zstd archive"),
        (zstd.compress(b"no tar" * 400), "expected the header of a part"),
        (packed(ABOUT, ("../../etc/passwd", b"x")), r"expected the parts of an archive, got '../../etc/passwd'"),
        (packed(ABOUT, ("/etc/passwd", b"x")), "expected the parts of an archive, got '/etc/passwd'"),
        (packed(ABOUT, (f"crops/{'a' * 64}.jpg", b""), type=tarfile.SYMTYPE, linkname="/etc/passwd"), "got a link"),
        (packed(ABOUT, (f"crops/{'a' * 64}.jpg", b""), type=tarfile.LNKTYPE, linkname="lock"), "got a link"),
        (packed(ABOUT, ("crops", b""), type=tarfile.DIRTYPE), "got a link, folder or device"),
        (packed(ABOUT, (f"crops/{'a' * 64}.jpg", b""), size=2**33 - 1), "expected at most 67108864 bytes in crops/"),
        (packed(ABOUT), "without its end"),
        (packed(ABOUT, ("end.json", b"{}")), "expected the end of an archive of 0 batches"),
        (packed(ABOUT, ("manifests/000001.json", b"[]")), "expected a JSON object in manifests/000001.json"),
        (packed(ABOUT, ("manifests/000001.json", b"[" * 10**5)), "expected JSON in manifests/000001.json"),
        (packed(ABOUT, ("manifests/000001.json", b"{}")), "the archive was damaged or changed"),
    ],
)
def test_what_is_no_archive_is_refused_by_name(full, data, message):
    before = everything(full)
    with pytest.raises(ArchiveError, match=message):
        taken_in(full, data)
    assert everything(full) == before


def test_what_unpacks_to_much_more_than_it_is_is_refused(full):
    zeros = ("crops/" + "a" * 64 + ".jpg", bytes(60 * 2**20))
    with pytest.raises(ArchiveError, match="unpacks to more than 200 times its size"):
        taken_in(full, packed(ABOUT, zeros, zeros))


def test_batches_that_do_not_fit_into_memory_are_refused(full, monkeypatch):
    monkeypatch.setattr("service.gallery.archive._MOST_BATCH_BYTES", 3000)
    noise = np.random.default_rng(0).bytes(2000)
    with pytest.raises(ArchiveError, match="batches of at most 3000 bytes"):
        taken_in(full, packed(ABOUT, (f"crops/{'a' * 64}.jpg", noise), (f"crops/{'b' * 64}.jpg", noise)))


def rewritten(data: bytes, change: Callable[[dict], None], jpeg: Callable[[bytes], bytes] = bytes) -> bytes:
    """The archive with every batch changed and all hashes right: what a forger would make."""
    file = io.BytesIO()
    batches = read_archive(io.BytesIO(data))
    first = next(batches)
    writer = ArchiveWriter(file, json.loads(first["archive.json"]))
    for parts_ in (first, *batches):
        for name, part in parts_.items():
            if name.startswith("crops/"):
                writer.add_crop(name[6:70], jpeg(part))
        (batch,) = [json.loads(part) for name, part in parts_.items() if name.startswith("batches/")]
        for sighting in batch["sightings"]:
            change(sighting)
        writer.add_batch(batch)
    writer.close()
    return file.getvalue()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sighting_id": 7}, r"sightings.0.sighting_id"),
        ({"extra": 7}, r"sightings.0.extra"),
        ({"person_id": "nobody"}, "expected the person of every sighting in its batch"),
        ({"image_sha256": "../../../../etc/passwd"}, r"sightings.0.image_sha256"),
        ({"image_sha256": "a" * 64}, "expected the crop of"),
        ({"width_px": 33}, "expected a JPEG of 33 × 64 px without metadata"),
        ({"vectors": {BUNDLE: "no base64!"}}, "in base64"),
        ({"vectors": {BUNDLE: base64.b64encode(np.ones(4, "<f2").tobytes()).decode()}}, "expected unit vectors"),
        (
            {"vectors": {BUNDLE: base64.b64encode(np.full(4, np.nan, "<f2").tobytes()).decode()}},
            "expected unit vectors",
        ),
        (
            {"vectors": {BUNDLE: base64.b64encode(np.array([1, 0, 0], "<f2").tobytes()).decode()}},
            "expected unit vectors",
        ),
        ({"captured_at": {"us": -1, "offset_minutes": 0}}, r"captured_at.us"),
    ],
)
def test_a_forged_record_is_refused_and_nothing_of_its_batch_is_kept(full, opened, tmp_path, changes, message):
    other = opened("other")
    with pytest.raises(ArchiveError, match=message):
        taken_in(other, rewritten(exported(full), lambda sighting: sighting.update(changes)))
    assert other.sightings_indexed == 0
    assert kept(tmp_path / "other") == set()


def test_a_crop_that_is_no_crop_is_refused(full, opened):
    other = opened("other")
    with pytest.raises(ArchiveError, match="expected the crop of"):
        taken_in(other, rewritten(exported(full), lambda _: None, lambda jpeg: jpeg + b"more"))


def test_a_bundle_of_another_length_is_refused(full, opened):
    data = exported(full)
    with pytest.raises(ConflictError, match="expected vectors of 4 numbers of this bundle, got 2"):
        taken_in(full, rewritten_lengths(data))


def rewritten_lengths(data: bytes) -> bytes:
    file = io.BytesIO()
    batches = list(read_archive(io.BytesIO(data)))
    writer = ArchiveWriter(file, {"format": 1, "bundles": {BUNDLE: 2}})
    for parts_ in batches:
        (batch,) = [json.loads(part) for name, part in parts_.items() if name.startswith("batches/")]
        for name, part in parts_.items():
            if name.startswith("crops/"):
                writer.add_crop(name[6:70], part)
        for number, sighting in enumerate(batch["sightings"]):
            sighting["sighting_id"] = f"new-{number}"
            sighting["vectors"] = {BUNDLE: base64.b64encode(np.array([1, 0], "<f2").tobytes()).decode()}
        writer.add_batch(batch)
    writer.close()
    return file.getvalue()
