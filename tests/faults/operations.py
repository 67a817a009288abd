"""A mixed load on a gallery: operations as plain values, what each does to a gallery and to a slow model of one."""

import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from service.gallery.crops import sha256_of
from service.gallery.errors import BundleChangedError
from service.gallery.filters import Filter
from service.gallery.gallery import Gallery
from service.gallery.records import Once, Written
from tests.service.gallery.conftest import EVERYONE, crop, fields

Operation = list[Any]  # a word and its arguments, as JSON has them
_MOST_SIGHTINGS = 40


@dataclass(frozen=True)
class Known:
    """What one worker knows of its own people: whose each crop is (named by its text), and who is called what."""

    owners: Mapping[str, str | None] = field(default_factory=dict)
    names: Mapping[str, str | None] = field(default_factory=dict)

    def after(self, operation: Operation) -> "Known":
        """What is known once `operation` was done."""
        match operation:
            case ["enrol", texts, person]:
                return self._with(dict.fromkeys(texts, person), person)
            case ["move", text, person]:
                return self._with({text: person}, person)
            case ["split", _, texts, person]:
                return self._with(dict.fromkeys(texts, person), person)
            case ["name", person, name]:
                return replace(self, names={**self.names, person: name})
            case ["delete", text]:
                return replace(self, owners={one: owner for one, owner in self.owners.items() if one != text})
            case ["erase", person]:
                left = {one: owner for one, owner in self.owners.items() if owner != person}
                return Known(left, {one: name for one, name in self.names.items() if one != person})
            case ["merge", person, other]:
                moved = {one: person if owner == other else owner for one, owner in self.owners.items()}
                name = self.names[other] if self.names[person] is None else self.names[person]
                names = {**self.names, person: name}
                return Known(moved, {one: name for one, name in names.items() if one != other})
        raise AssertionError(operation)

    def of(self, person: str) -> list[str]:
        """The crops of a person."""
        return [text for text, owner in self.owners.items() if owner == person]

    def _with(self, owners: Mapping[str, str | None], person: str | None) -> "Known":
        names = dict(self.names) if person is None else {person: None, **self.names}
        return Known({**self.owners, **owners}, names)


def draw(rng: random.Random, worker: str, known: Known, number: str) -> Operation:
    """An operation that can be done to what is known; `number` is new for each."""
    people = [f"{worker}-{letter}" for letter in "abcd"]
    there, texts = sorted(known.names), sorted(known.owners)
    person = rng.choice([*people, None])
    kind = rng.choices(
        ["enrol", "move", "delete", "erase", "merge", "split", "name"],
        [4 if len(texts) < _MOST_SIGHTINGS else 0, 2, 2, 1, 1, 1, 1],
    )[0]
    if kind == "move" and texts:
        return ["move", rng.choice(texts), person]
    if kind == "delete" and texts:
        return ["delete", rng.choice(texts)]
    if kind == "erase" and there:
        return ["erase", rng.choice(there)]
    if kind == "merge" and len(there) > 1:
        return ["merge", *rng.sample(there, 2)]
    if kind == "name" and there:
        return ["name", rng.choice(there), f"name<{worker} {number}>"]
    if kind == "split" and any(known.of(one) for one in there):
        one = rng.choice([one for one in there if known.of(one)])
        return ["split", one, known.of(one)[:2], rng.choice([other for other in people if other != one])]
    return ["enrol", [f"crop<{worker} {number} {part}>" for part in range(rng.randint(1, 2))], person]


def perform(gallery: Gallery, ids: dict[str, str], operation: Operation) -> tuple[str, ...]:
    """Do it; what of it is pending. `ids` are the sightings by text. An enrolment done before is not repeated."""
    match operation:
        case ["enrol", texts, person]:
            (key,) = sha256_of([texts[0].encode()])
            asked = Once(key, "", lambda made, _: " ".join(one.sighting_id for one in made))
            written = _enrol(gallery, texts, person, asked)
            made = [one.sighting_id for one in written.value] if written.replay is None else written.replay.split()
            ids.update(zip(texts, made, strict=True))
        case ["move", text, person]:
            gallery.change_sighting(EVERYONE, ids[text], {"person_id": person})
        case ["delete", text]:
            return gallery.delete_sighting(EVERYONE, ids.pop(text)).pending
        case ["erase", person]:
            return gallery.erase_person(EVERYONE, person).pending
        case ["merge", person, other]:
            gallery.merge(EVERYONE, person, other)
        case ["split", person, texts, other]:
            gallery.split(EVERYONE, person, [ids[text] for text in texts], other)
        case ["name", person, name]:
            gallery.change_person(EVERYONE, person, {"name": name})
        case _:
            raise AssertionError(operation)
    return ()


def _enrol(gallery: Gallery, texts: list[str], person: str | None, asked: Once) -> Written:
    """As a client does it, which asks again where the bundle was switched meanwhile."""
    while True:
        crops = [crop(text, gallery.bundle_id) for text in texts]
        with suppress(BundleChangedError):
            return gallery.enrol(EVERYONE, crops, fields(person), asked)


def ids_of(gallery: Gallery, texts: list[str]) -> dict[str, list[str]]:
    """The sightings that show each of `texts`: one each, where all is well."""
    with gallery.reading(EVERYONE) as reading:
        listed = reading.sightings(Filter(), 0, 10**6).records
    by_hash: dict[str, list[str]] = {}
    for sighting in listed:
        by_hash.setdefault(sighting.image_sha256, []).append(sighting.sighting_id)
    hashes = sha256_of(crop(text).jpeg for text in texts)
    return {text: by_hash.get(sha256, []) for text, sha256 in zip(texts, hashes, strict=True)}


def found(gallery: Gallery, worker: str, texts: list[str]) -> Known:
    """What the gallery holds of a worker's people; `texts` are all the crops that they may have."""
    ids = ids_of(gallery, texts)
    with gallery.reading(EVERYONE) as reading:
        owners = {text: reading.sighting(some[0]).person_id for text, some in ids.items() if some}
        people = reading.persons(0, 10**6).records
    return Known(owners, {one.person_id: one.name for one in people if one.person_id.startswith(f"{worker}-")})
