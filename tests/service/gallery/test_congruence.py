"""The gallery against a slow one in memory: the same random operations, the same answers, the same crops."""

import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from service.gallery.errors import ConflictError, NotFoundError
from service.gallery.filters import Filter
from service.gallery.gallery import Gallery
from service.gallery.records import Crop
from service.gallery.search import Terms
from tests.service.gallery.conftest import (
    BUNDLE,
    DIMENSIONS,
    EVERYONE,
    MEMORY,
    OTHER,
    crop,
    embed,
    fields,
    kept,
    looking_like,
    reopen_gallery,
    together,
)

PEOPLE = st.sampled_from(["ada", "bob", "cy"])
PEOPLE_OR_NOBODY = st.sampled_from(["ada", "bob", "cy", None])
CAMERAS = st.sampled_from(["north", "south", None])
TEXTS = st.sampled_from("abcde")  # few, so that sightings share their crops


class Known(NamedTuple):
    person_id: str | None
    camera_id: str | None
    text: str


class Congruence(RuleBasedStateMachine):
    """On SQLite; a subclass says what is another store's."""

    @initialize()
    def begin(self) -> None:
        self.home = Path(tempfile.mkdtemp(dir=MEMORY))
        self.gallery = self.open()
        self.bundle_id = BUNDLE
        self.known: dict[str, Known] = {}  # in the order of enrolment
        self.people: set[str] = set()

    @rule(texts=st.lists(TEXTS, min_size=1, max_size=3), person_id=PEOPLE_OR_NOBODY, camera_id=CAMERAS)
    def enrol(self, texts: list[str], person_id: str | None, camera_id: str | None) -> None:
        written = self.gallery.enrol(EVERYONE, self._crops(texts), fields(person_id, camera_id))
        for sighting, text in zip(written.value, texts, strict=True):
            self.known[sighting.sighting_id] = Known(person_id, camera_id, text)
        self.people |= {person_id} - {None}

    @rule(data=st.data(), person_id=PEOPLE_OR_NOBODY)
    def move(self, data: st.DataObject, person_id: str | None) -> None:
        if self.known:
            one = data.draw(st.sampled_from(list(self.known)))
            self.gallery.change_sighting(EVERYONE, one, {"person_id": person_id})
            self.known[one] = self.known[one]._replace(person_id=person_id)
            self.people |= {person_id} - {None}

    @rule(person_id=PEOPLE, other_id=PEOPLE)
    def merge(self, person_id: str, other_id: str) -> None:
        try:
            merged = self.gallery.merge(EVERYONE, person_id, other_id).value
        except ConflictError:
            assert person_id == other_id in self.people
            return
        except NotFoundError:
            assert not {person_id, other_id} <= self.people
            return
        assert person_id != other_id
        self._move(self._sightings_of(other_id), person_id)
        self.people.discard(other_id)
        assert merged.sightings == len(self._sightings_of(person_id))

    @rule(data=st.data(), person_id=PEOPLE, into=PEOPLE)
    def split(self, data: st.DataObject, person_id: str, into: str) -> None:
        """Some of the sightings asked for may be another's: then none moves."""
        if not self.known:
            return
        some = data.draw(st.lists(st.sampled_from(list(self.known)), max_size=3, unique=True))
        theirs = bool(some) and set(some) <= set(self._sightings_of(person_id))
        try:
            other = self.gallery.split(EVERYONE, person_id, some, into).value
        except (NotFoundError, ConflictError):
            assert person_id == into or not theirs
            return
        assert theirs
        assert person_id != into
        self._move(some, into)
        self.people.add(into)
        assert other.sightings == len(self._sightings_of(into))

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        if self.known:
            one = data.draw(st.sampled_from(list(self.known)))
            assert self.gallery.delete_sighting(EVERYONE, one).pending == ()
            del self.known[one]

    @rule(person_id=PEOPLE)
    def erase(self, person_id: str) -> None:
        try:
            receipt = self.gallery.erase_person(EVERYONE, person_id).value
        except NotFoundError:
            assert person_id not in self.people
            return
        gone, crops = self._forget(person_id)
        assert (receipt.sightings, receipt.images) == (gone, crops)

    @rule(texts=st.lists(TEXTS, min_size=1, max_size=2), person_id=PEOPLE_OR_NOBODY, erased_first=st.booleans())
    def erase_and_enrol_together(self, texts: list[str], person_id: str | None, erased_first: bool) -> None:
        """In one commit, an erasure of Ada and an enrolment of crops that may be hers, as another's."""
        if "ada" not in self.people or person_id == "ada":
            return
        made = []
        writes = [
            partial(self.gallery.erase_person, EVERYONE, "ada"),
            lambda: made.extend(self.gallery.enrol(EVERYONE, self._crops(texts), fields(person_id, "west")).value),
        ]
        together(self.gallery, *(writes if erased_first else reversed(writes)))
        self._forget("ada")
        for sighting, text in zip(made, texts, strict=True):
            self.known[sighting.sighting_id] = Known(person_id, "west", text)
        self.people |= {person_id} - {None}

    @rule(bundle_id=st.sampled_from([BUNDLE, OTHER]), stop_at=st.none() | st.integers(0, 3))
    def activate(self, bundle_id: str, stop_at: int | None) -> None:
        """A change of model, and back; some are stopped on the way, and some are of the bundle in force."""

        def progress(done: int, total: int) -> None:
            assert total == len(self.known)
            if stop_at is not None and done >= stop_at:
                raise InterruptedError

        embedding = partial(embed, bundle_id=bundle_id)
        try:
            self.gallery.activate(EVERYONE, bundle_id, DIMENSIONS[bundle_id], embedding, progress)
        except InterruptedError:
            return
        self.bundle_id = bundle_id

    @rule()
    def reopen(self) -> None:
        change = self.gallery.change
        self.close()
        self.gallery = self.open()
        assert self.gallery.change == change

    @rule()
    def crash(self) -> None:
        change = self.gallery.change
        self.leave_as_if_killed()
        self.gallery = self.open()
        assert self.gallery.change == change

    @rule(
        text=TEXTS,
        camera_id=CAMERAS,
        person_id=PEOPLE_OR_NOBODY,
        top_k=st.integers(1, 12),
        group_by=st.sampled_from(["sighting", "person"]),
    )
    def search(self, text: str, camera_id: str | None, person_id: str | None, top_k: int, group_by: str) -> None:
        cameras, persons = (() if one is None else (one,) for one in (camera_id, person_id))
        terms = Terms(Filter(cameras=cameras, persons=persons), top_k, group_by)
        (result,), change = self.gallery.search(EVERYONE, [(looking_like(text, self.bundle_id), terms)])
        left = [
            one
            for one, known in self.known.items()
            if (not cameras or known.camera_id in cameras) and (not persons or known.person_id in persons)
        ]
        assert [match.sighting.sighting_id for match in result.matches] == self._ranked(text, left, group_by)[:top_k]
        assert (result.searched, change) == (len(left), self.gallery.change)

    @invariant()
    def the_lists_are_alike(self) -> None:
        with self.gallery.reading(EVERYONE) as reading:
            listed = reading.sightings(Filter(), 0, 1000).records
            people = {person.person_id: person.sightings for person in reading.persons(0, 1000).records}
        assert [(one.sighting_id, one.person_id, one.camera_id) for one in listed] == [
            (one, known.person_id, known.camera_id) for one, known in self.known.items()
        ]
        owners = [known.person_id for known in self.known.values()]
        assert people == {person_id: owners.count(person_id) for person_id in self.people}

    @invariant()
    def the_bundle_in_force_is_that_of_the_last_switch(self) -> None:
        assert self.gallery.bundle_id == self.gallery.activation().bundle_id == self.bundle_id
        assert self.gallery.sightings_indexed == len(self.known)

    @invariant()
    def the_crops_are_those_that_sightings_need(self) -> None:
        assert self.kept() == {crop(known.text).jpeg for known in self.known.values()}
        for one, known in self.known.items():
            assert self.gallery.crop(EVERYONE, one) == crop(known.text).jpeg

    def teardown(self) -> None:
        self.close()
        shutil.rmtree(self.home)

    def open(self) -> Gallery:
        return reopen_gallery(self.home)

    def close(self) -> None:
        self.gallery.close()

    def leave_as_if_killed(self) -> None:
        """What the disk holds while the gallery is open is all that a killed one leaves."""
        left = Path(tempfile.mkdtemp(dir=MEMORY))
        shutil.copytree(self.home, left, dirs_exist_ok=True)
        self.teardown()
        self.home = left

    def kept(self) -> set[bytes]:
        return kept(self.home)

    def _crops(self, texts: list[str]) -> list[Crop]:
        return [crop(text, self.bundle_id) for text in texts]

    def _sightings_of(self, person_id: str) -> list[str]:
        return [one for one, known in self.known.items() if known.person_id == person_id]

    def _move(self, some: list[str], person_id: str) -> None:
        for one in some:
            self.known[one] = self.known[one]._replace(person_id=person_id)

    def _forget(self, person_id: str) -> tuple[int, int]:
        """How many sightings went, and how many crops with them."""
        gone = {one: known for one, known in self.known.items() if known.person_id == person_id}
        self.known = {one: known for one, known in self.known.items() if one not in gone}
        self.people.discard(person_id)
        left = {known.text for known in self.known.values()}
        return len(gone), len({known.text for known in gone.values()} - left)

    def _ranked(self, text: str, candidates: list[str], group_by: str) -> list[str]:
        query = crop(text, self.bundle_id).embedding.astype(np.float64)
        scores = {
            one: np.float32(crop(self.known[one].text, self.bundle_id).embedding.astype(np.float64) @ query)
            for one in candidates
        }
        ranked = sorted(candidates, key=lambda one: -scores[one])  # stable: equal ones stay in the order of enrolment
        if group_by == "sighting":
            return ranked
        firsts: dict[str, str] = {}
        for one in ranked:
            firsts.setdefault(self.known[one].person_id or one, one)
        return list(firsts.values())


TestCongruence = Congruence.TestCase
TestCongruence.settings = settings(max_examples=8, stateful_step_count=30)
