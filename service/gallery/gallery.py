"""The gallery: store, crops and index as one. A write is answered once it is durable and a search finds it."""

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from reid.search import ExactIndex
from service.gallery.crops import CropFiles, sha256_of
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
from service.gallery.search import UNIT_TOLERANCE, Query, Result, Searcher, Terms
from service.gallery.sqlite import SqliteStore
from service.gallery.sqlite.reading import Reading
from service.gallery.sqlite.writing import PersonChanges, SightingChanges, Writing

_LOG = logging.getLogger(__name__)
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
    lost_crops: Collection[str] = ()  # of sightings that went


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
        self.seal_key = b""
        self._retiring: set[str] = set()  # crops to remove once nothing needs them; the writer thread's
        with ExitStack() as opened:
            self._home = Home(home)
            opened.callback(self._home.close)
            self._crops = CropFiles(home / "crops")
            self._store = SqliteStore(store_path, self._retire)
            opened.callback(self._store.close)
            self._load()
            self._opened = opened.pop_all()

    @property
    def change(self) -> int:
        """The last change that readers see, records and index alike."""
        return self._change

    @property
    def pending(self) -> tuple[str, ...]:
        """What of the erasures so far is not yet gone from the disk: "crops", "database"."""
        return self._store.pending

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

        Raises ForbiddenError for a camera that `actor` is not allowed, StoreError when the disk refuses.
        """
        _check_embedded(crops, self.bundle_id, self.dimension)
        if actor.cameras is not None and fields.camera_id not in actor.cameras:
            raise ForbiddenError(f"expected a camera_id that this key is for, got {fields.camera_id!r}")
        jpegs = [crop.jpeg for crop in crops]
        written = None
        try:
            with self._crops.keeping(jpegs) as hashes:
                operation = partial(_enrol, crops=crops, hashes=hashes, fields=fields)
                written = self._write(actor, "enrol", operation, once)
            return written
        finally:
            if written is None or written.replay is not None:
                self._retire_soon(sha256_of(jpegs))

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

        When this returns their bytes are gone from the database, its log and the crops, except for what is
        `pending`: that is tried again until it is gone, and who asks again is given the same receipt.
        """

        def operation(writing: Writing) -> _Effect[str]:
            receipt_id, rows, crops = writing.erase_person(person_id)
            return _Effect(receipt_id, count=len(rows), removed=rows, lost_crops=crops)

        try:
            written = self._erase(actor, "erase person", operation)
        except NotFoundError:
            with self.reading(actor) as reading:
                receipt = reading.late_receipt(person_id)
                if receipt is None:
                    raise
                pending = () if receipt.completed_at else self.pending
                return Written(receipt, reading.change(), pending=pending)
        assert written.value is not None
        with self.reading(actor) as reading:
            return Written(reading.receipt(written.value), written.change, pending=written.pending)

    def change_sighting(self, actor: Actor, sighting_id: str, changes: SightingChanges) -> Written[Sighting]:
        """Set some fields of a sighting, or move it to another person; raises NotFoundError."""

        def operation(writing: Writing) -> _Effect[Sighting]:
            writing.change_sighting(sighting_id, changes)
            sighting = writing.sighting(sighting_id)
            return _Effect(sighting, sighting.person_id)

        return self._write(actor, "change sighting", operation)

    def delete_sighting(self, actor: Actor, sighting_id: str) -> Written[None]:
        """Take out one sighting with its vector, and its crop if no other needs it; raises NotFoundError.

        As with :meth:`erase_person`, it is gone from the disk except for what is `pending`.
        """

        def operation(writing: Writing) -> _Effect[None]:
            row, crop = writing.delete_sighting(sighting_id)
            return _Effect(None, removed=np.array([row], np.int64), lost_crops=[crop])

        return self._erase(actor, "delete sighting", operation)

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

        The audit line is durable before the answer, except while an erasure rewrites the file: then it is queued,
        and durable right after.
        """
        note = partial(_note_search, actor=actor, queries=[query for query, _ in asked])
        noted = self._store.submit(note)
        # In this order: what is in the index by now is in the snapshot too.
        change, length = self._change, self._index.length
        with self.reading(actor) as reading:
            searcher = Searcher(reading, self._index, length, self.bundle_id)
            results = [searcher.search(query, terms) for query, terms in asked]
        self._store.settle(noted)
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
            self.seal_key = reading.seal_key()
            used = reading.images()
            self._crops.claim(reading.store_id(), used)
            self._retiring = self._crops.sweep(used)
            self._change = reading.change()
            missing, total = reading.sightings_without_vector(self.bundle_id)
        if missing:
            _LOG.warning("%d of %d sightings have no vector of this bundle: no search finds them", missing, total)
        if self._store.erasure_due or self._retiring:
            self._store.erase(_nothing)

    def _write(
        self, actor: Actor, action: str, operation: Callable[[Writing], _Effect[T]], once: Once[T] | None = None
    ) -> Written[T]:
        """Run `operation` in one transaction with its change number, audit line and idempotent answer."""
        transaction = partial(_transaction, actor=actor, action=action, operation=operation, once=once)
        written, _ = self._store.write(transaction, actor.cameras, self._publish)
        return written

    def _erase(self, actor: Actor, action: str, operation: Callable[[Writing], _Effect[T]]) -> Written[T]:
        """:meth:`_write` for what deletes: it also waits until that is gone from the disk."""
        transaction = partial(_transaction, actor=actor, action=action, operation=operation, once=None)
        (written, _), pending = self._store.erase(transaction, actor.cameras, self._publish)
        return replace(written, pending=pending)

    def _publish(self, _: Reading, done: tuple[Written[T], _Effect[T] | None]) -> None:
        """Let index and crops follow a committed transaction; on the writer thread, in the order of changes."""
        written, effect = done
        if effect is None:
            return
        if len(effect.added):
            self._index.add(effect.added, np.stack(effect.vectors))
        self._index.remove(effect.removed)
        self._retiring.update(effect.lost_crops)
        with self._published:
            self._change = written.change
            self._published.notify_all()

    def _retire_soon(self, hashes: Sequence[str]) -> None:
        """Remove crops of a write that came to nothing, unless a sighting needs them."""

        def retire(reading: Reading, _: None) -> None:
            self._retiring.update(hashes)
            self._retire(reading)

        self._store.write(_nothing, committed=retire)

    def _retire(self, reading: Reading) -> bool:
        """Remove the crops that lost a sighting and have none left; whether no such crop lies on the disk now.

        The one place that takes crops away while the gallery is open. It runs on the writer thread between
        transactions, so that what it finds unused is unused when it goes.
        """
        self._retiring = self._crops.remove([sha256 for sha256 in self._retiring if not reading.is_image_used(sha256)])
        return not self._retiring


def _nothing(_: Writing) -> None:
    pass


def _transaction(
    writing: Writing, actor: Actor, action: str, operation: Callable[[Writing], _Effect[T]], once: Once[T] | None
) -> tuple[Written[T], _Effect[T] | None]:
    if once is not None and (replayed := _replayed(writing, actor, once)):
        return replayed, None
    change = writing.begin_change()
    effect = operation(writing)
    writing.note(actor, action, effect.person_id, effect.count, change)
    if once is not None:
        writing.remember(actor, once, change, once.render(effect.value, change), effect.mentions)
    return Written(effect.value, change), effect


def _enrol(
    writing: Writing, crops: Sequence[Crop], hashes: Sequence[str], fields: SightingFields
) -> _Effect[list[Sighting]]:
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


def _check_embedded(crops: Sequence[Crop], bundle_id: str, dimension: int) -> None:
    """Raise AssertionError for what no bundle of ours may give, before any of it is kept.

    One vector that the index refuses would be refused at every start to come.
    """
    for crop in crops:
        assert crop.bundle_id == bundle_id
        shape, length = crop.embedding.shape, float(np.linalg.norm(crop.embedding.astype(np.float32)))
        if shape != (dimension,) or not abs(length - 1) <= UNIT_TOLERANCE:  # NaN is not less than anything
            raise AssertionError(f"expected a unit vector of shape ({dimension},), got {shape} of length {length}")


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
