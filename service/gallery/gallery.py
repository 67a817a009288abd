"""The gallery: store, crops and index as one. A write is answered once it is durable and a search finds it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from reid.search import ExactIndex
from service.gallery.crops import CropFiles
from service.gallery.errors import ChangeNotReachedError, ForbiddenError, HomeError, NotFoundError
from service.gallery.home import Home
from service.gallery.records import (
    Actor,
    Crop,
    Metadata,
    Once,
    Person,
    Receipt,
    Sighting,
    SightingFields,
    T,
    Written,
)
from service.gallery.search import Query, Result, Searcher, Terms
from service.gallery.sqlite import SqliteStore
from service.gallery.sqlite.reading import Reading
from service.gallery.sqlite.writing import PersonChanges, SightingChanges, Writing

CHANGE_WAIT_S = 1.0


def _no_rows() -> NDArray[np.int64]:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class _Effect(Generic[T]):
    """What a transaction did: its result, what the audit says of it, and what index and crops must follow."""

    value: T
    person_id: str | None = None
    count: int = 1
    mentions: Sequence[str] = ()
    added: NDArray[np.int64] = field(default_factory=_no_rows)
    vectors: Sequence[NDArray[np.float16]] = ()
    removed: NDArray[np.int64] = field(default_factory=_no_rows)
    unused_crops: Sequence[str] = ()


class Gallery:
    """All that is known, below the folder `home`, searched with the vectors of one bundle.

    `store_path` is the SQLite file. Vectors of other bundles are kept, and never compared with. Raises HomeError
    if the folder is held by another service or its store cannot be used. Safe to call from any thread.
    """

    def __init__(self, home: Path, store_path: Path, bundle_id: str, dimension: int) -> None:
        self.bundle_id = bundle_id
        self.dimension = dimension
        self._published = threading.Condition()
        self._change = 0
        self._index = ExactIndex(dimension)
        with ExitStack() as opened:
            self._home = Home(home)
            opened.callback(self._home.close)
            self._crops = CropFiles(home / "crops")
            self._store = SqliteStore(store_path)
            opened.callback(self._store.close)
            self._load()
            self._opened = opened.pop_all()

    @property
    def change(self) -> int:
        """The last change that readers see, records and index alike."""
        return self._change

    @property
    def sightings_indexed(self) -> int:
        """How many sightings a search without a filter looks at."""
        return self._index.count()

    def indexed(self, rows: NDArray[np.int64]) -> int:
        """How many of the sightings `rows` (N,) have a vector of the active bundle."""
        return self._index.count(self._index.mask(rows))

    def probe(self) -> None:
        """Raise sqlite3.OperationalError if the store does not answer."""
        with self._store.reading() as reading:
            reading.change()

    @contextmanager
    def reading(self, actor: Actor) -> Iterator[Reading]:
        """The records as `actor` may see them, at one moment."""
        with self._store.reading(actor.cameras) as reading:
            yield reading

    def wait_for(self, change: int) -> None:
        """Return once `change` can be read; raises ChangeNotReachedError after a short wait."""
        with self._published:
            if not self._published.wait_for(lambda: self._change >= change, timeout=CHANGE_WAIT_S):
                raise ChangeNotReachedError(f"expected change {change}, got no further than {self._change}")

    def replay(self, actor: Actor, once: Once[T]) -> Written[T] | None:
        """The answer already given under this idempotency key, if there is one."""
        with self.reading(actor) as reading:
            return _replayed(reading, actor, once)

    def enrol(
        self, actor: Actor, crops: Sequence[Crop], fields: SightingFields, once: Once[list[Sighting]] | None = None
    ) -> Written[list[Sighting]]:
        """Keep crops as sightings, their person created if that id is new. The crops reach the disk first.

        Raises ForbiddenError for a camera that `actor` is not allowed.
        """
        assert all(crop.bundle_id == self.bundle_id for crop in crops)
        if actor.cameras is not None and fields.camera_id not in actor.cameras:
            raise ForbiddenError(f"expected a camera_id that this key is for, got {fields.camera_id!r}")
        hashes = [self._crops.put(crop.jpeg) for crop in crops]
        try:
            return self._write(actor, "enrol", partial(self._enrol, crops=crops, fields=fields), once)
        except BaseException:
            self._store.write(partial(self._discard_unused, hashes=hashes))
            raise

    def add_person(
        self,
        actor: Actor,
        person_id: str,
        name: str | None,
        tags: tuple[str, ...],
        metadata: Metadata,
        once: Once[Person] | None = None,
    ) -> Written[Person]:
        """Add a person without sightings; raises ConflictError if the id is taken."""

        def operation(writing: Writing) -> _Effect[Person]:
            writing.add_person(person_id, name, tags, metadata)
            return _Effect(writing.person(person_id), person_id, mentions=[person_id])

        return self._write(actor, "add person", operation, once)

    def change_person(self, actor: Actor, person_id: str, changes: PersonChanges) -> Written[Person]:
        """Set some fields of a person; raises NotFoundError."""

        def operation(writing: Writing) -> _Effect[Person]:
            writing.change_person(person_id, changes)
            return _Effect(writing.person(person_id), person_id)

        return self._write(actor, "change person", operation)

    def erase_person(self, actor: Actor, person_id: str) -> Written[Receipt]:
        """Take out a person with all sightings, vectors, crops and mentions of them; raises NotFoundError.

        When this returns their bytes are gone from the database, its log and the crops.
        """

        def operation(writing: Writing) -> _Effect[Receipt]:
            receipt, rows, unused = writing.erase_person(person_id)
            return _Effect(receipt, count=receipt.sightings, removed=rows, unused_crops=unused)

        return self._write(actor, "erase person", operation, erases=True)

    def change_sighting(self, actor: Actor, sighting_id: str, changes: SightingChanges) -> Written[Sighting]:
        """Set some fields of a sighting, or move it to another person; raises NotFoundError."""

        def operation(writing: Writing) -> _Effect[Sighting]:
            writing.change_sighting(sighting_id, changes)
            sighting = writing.sighting(sighting_id)
            return _Effect(sighting, sighting.person_id)

        return self._write(actor, "change sighting", operation)

    def delete_sighting(self, actor: Actor, sighting_id: str) -> Written[None]:
        """Take out one sighting with its vector, and its crop if no other needs it; raises NotFoundError."""

        def operation(writing: Writing) -> _Effect[None]:
            row, unused = writing.delete_sighting(sighting_id)
            return _Effect(None, removed=np.array([row], np.int64), unused_crops=unused)

        return self._write(actor, "delete sighting", operation, erases=True)

    def crop(self, actor: Actor, sighting_id: str) -> bytes:
        """The JPEG bytes of a sighting, as they were embedded; raises NotFoundError."""
        with self.reading(actor) as reading:
            path = self._crops.path(reading.sighting(sighting_id).image_sha256)
        try:
            return path.read_bytes()
        except FileNotFoundError as error:  # deleted since
            raise NotFoundError(f"expected a sighting that exists, got {sighting_id!r}") from error

    def search(self, actor: Actor, asked: Sequence[tuple[Query, Terms]]) -> tuple[list[Result], int]:
        """Answer each query under its terms; the results, and a change that all of them had seen.

        The audit line is durable before the answer: nobody is searched for unseen.
        """
        note = partial(_note_search, actor=actor, queries=[query for query, _ in asked])
        noted = self._store.submit(note)
        # In this order: what is in the index by now is in the snapshot too.
        change, length = self._change, self._index.length
        with self.reading(actor) as reading:
            searcher = Searcher(reading, self._index, length, self.bundle_id)
            results = [searcher.search(query, terms) for query, terms in asked]
        noted.result()
        return results, change

    def close(self) -> None:
        """Finish what is being written and let go of the folder."""
        self._opened.close()

    def _load(self) -> None:
        """Bring index and crops in line with the store, whatever interrupted the last run."""
        with self._store.reading() as reading:
            dimension = reading.bundle_dimension(self.bundle_id)
            if dimension not in (None, self.dimension):
                raise HomeError(f"expected vectors of {self.dimension} numbers in the store, got {dimension}")
            for rows, vectors in reading.all_vectors(self.bundle_id, self.dimension):
                self._index.add(rows, vectors)
            self._crops.sweep(reading.images())
            self._change = reading.change()

    def _write(
        self,
        actor: Actor,
        action: str,
        operation: Callable[[Writing], _Effect[T]],
        once: Once[T] | None = None,
        *,
        erases: bool = False,
    ) -> Written[T]:
        """Run `operation` in one transaction with its change number, audit line and idempotent answer."""

        def transaction(writing: Writing) -> tuple[Written[T], _Effect[T] | None]:
            if once is not None and (replayed := _replayed(writing, actor, once)):
                return replayed, None
            change = writing.begin_change()
            effect = operation(writing)
            writing.note(actor, action, effect.person_id, effect.count, change)
            if once is not None:
                writing.remember(actor, once, change, once.render(effect.value, change), effect.mentions)
            return Written(effect.value, change), effect

        written, _ = self._store.write(transaction, actor.cameras, self._publish, erases=erases)
        return written

    def _publish(self, done: tuple[Written[T], _Effect[T] | None]) -> None:
        """Let index and crops follow a committed transaction; on the writer thread, in the order of changes."""
        written, effect = done
        if effect is None:
            return
        if len(effect.added):
            self._index.add(effect.added, np.stack(effect.vectors))
        self._index.remove(effect.removed)
        with self._published:
            self._change = written.change
            self._published.notify_all()
        self._crops.remove(effect.unused_crops)

    def _enrol(self, writing: Writing, crops: Sequence[Crop], fields: SightingFields) -> _Effect[list[Sighting]]:
        # Again, for a crop that an erasure took away since: here nothing else is written in between.
        hashes = [self._crops.put(crop.jpeg) for crop in crops]
        added = [writing.add_sighting(crop, sha256, fields) for crop, sha256 in zip(crops, hashes, strict=True)]
        sightings = [writing.sighting(sighting_id) for sighting_id, _ in added]
        mentions = [sighting.sighting_id for sighting in sightings]
        return _Effect(
            sightings,
            fields.person_id,
            count=len(sightings),
            mentions=[*mentions, fields.person_id] if fields.person_id is not None else mentions,
            added=np.array([row for _, row in added], np.int64),
            vectors=[crop.embedding for crop in crops],
        )

    def _discard_unused(self, writing: Writing, hashes: Sequence[str]) -> None:
        self._crops.remove(sha256 for sha256 in hashes if not writing.is_image_used(sha256))


def _replayed(reading: Reading, actor: Actor, once: Once[T]) -> Written[T] | None:
    found = reading.answer(actor.key_id, once.key_sha256, once.body_sha256)
    return None if found is None else Written(None, found[0], replay=found[1])


def _note_search(writing: Writing, actor: Actor, queries: Sequence[Query]) -> None:
    """Name the person searched for, where there is just one and they exist."""
    names = {name for query in queries if query.stored is not None for name in query.stored.persons}
    person_id = names.pop() if len(names) == 1 else None
    if person_id is not None and not writing.has_person(person_id):
        person_id = None  # erased meanwhile: the name must not come back
    writing.note(actor, "search", person_id, len(queries), None)
