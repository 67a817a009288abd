"""The ledger of a gallery: store, crops and index, which every write changes together."""

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

from reid.search import Device
from service.gallery.archives import ArchiveFiles
from service.gallery.cleanup import Beside, Mark
from service.gallery.erased import ErasedFile
from service.gallery.errors import ChangeNotReachedError, HomeError, NotFoundError
from service.gallery.home import Home
from service.gallery.index import Index, MemoryIndex
from service.gallery.milvus.address import MilvusAddress
from service.gallery.milvus.index import MilvusIndex
from service.gallery.records import Actor, Once, Sighting, T, Written
from service.gallery.sqlite import activations, jobs
from service.gallery.sqlite.reading import Reading
from service.gallery.sqlite.writing import Writing
from service.gallery.store import News, Store, nothing
from service.gallery.stores import StoreAddress, open_store
from service.gallery.vectors import are_unit

_LOG = logging.getLogger(__name__)
CHANGE_WAIT_S = 1.0
SERVICE = Actor("service")  # what nobody asked for, but a rule


def _no_rows() -> NDArray[np.int64]:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Active:
    """The bundle in force: searches see its vectors alone, and all of them are in `index`."""

    bundle_id: str
    dimension: int
    index: Index


@dataclass(frozen=True)
class Effect(Generic[T]):
    """What a transaction did: its result, what the audit says of it, and what index and crops must follow."""

    value: T
    person_id: str | None = None
    count: int = 1
    mentions: Sequence[str] = ()
    added: NDArray[np.int64] = field(default_factory=_no_rows)
    vectors: Sequence[NDArray[np.float16]] = ()
    removed: NDArray[np.int64] = field(default_factory=_no_rows)
    lost_crops: Collection[str] = ()  # of sightings that went
    activated: Active | None = None

    @classmethod
    def of_deletion(cls, sightings: Sequence[Sighting]) -> "Effect[int]":
        """Some sightings went; how many."""
        return Effect(
            len(sightings),
            count=len(sightings),
            removed=np.array([sighting.row for sighting in sightings], np.int64),
            lost_crops=[sighting.image_sha256 for sighting in sightings],
        )


class Ledger:
    """The records below one folder, and what follows them. A write is answered once it is durable and readable.

    Raises HomeError if the folder is held by another service or its store cannot be used. Safe to call from any
    thread; the index is changed on the writer's alone.
    """

    def __init__(
        self,
        home: Path,
        store_address: StoreAddress,
        bundle_id: str,
        dimension: int,
        index_address: MilvusAddress | None = None,
        device: Device | None = None,
    ) -> None:
        self._device = device
        self._index_address = index_address
        self._index_name = ""
        self._indexes = 0  # that were searched one after the other
        self._preparing: list[NDArray[np.int64]] | None = None  # rows that go while another index is made
        self._changing_model = threading.Lock()
        self._published = threading.Condition()
        self._change = 0
        self._is_loaded = False
        self.seal_key = b""
        self._retiring: set[str] = set()  # crops to remove once nothing needs them; the writer thread's
        self._last_tombstone = 0  # row of the last one that the file of the erased has; the writer thread's
        with ExitStack() as opened:
            self._home = Home(home)
            opened.callback(self._home.close)
            self._active = self._new_index(bundle_id, dimension)
            self._erased = ErasedFile(home / "erased")
            self.archives = ArchiveFiles(home / "archives")
            beside = Beside(self._follow_erasure, self._mark, self._is_forgotten)
            self._store, self._crops = open_store(store_address, home, beside, self._follow_others)
            opened.callback(lambda: self._active.index.close())  # the writer may take up another till its end
            opened.callback(self._store.close)
            opened.callback(lambda: self._active.index.close())
            self._load()
            self._apply_tombstones()
            self._opened = opened.pop_all()

    @property
    def bundle_id(self) -> str:
        """The bundle in force."""
        return self._active.bundle_id

    @property
    def dimension(self) -> int:
        """How many numbers its vectors have."""
        return self._active.dimension

    @property
    def store(self) -> Store:
        """For what is kept beside the gallery in the same file: jobs, calibrations, webhooks, sessions."""
        return self._store

    @property
    def change(self) -> int:
        """The last change that readers see, records and index alike."""
        return self._change

    @property
    def pending(self) -> tuple[str, ...]:
        """What of the erasures so far is not yet done: "crops", "archives", "tombstones", "index", "database"."""
        return self._store.pending

    @property
    def sightings_indexed(self) -> int:
        """How many sightings a search without a filter looks at."""
        return self._active.index.view().count()

    @property
    def index_state(self) -> str:
        """Where the index is, and what is wrong with it, if anything."""
        return self._active.index.state

    def probe(self) -> None:
        """Raise StoreError if the store does not answer, or writes nothing."""
        self._store.check_writes()
        with self._store.reading() as reading:
            reading.change()

    @contextmanager
    def reading(self, actor: Actor) -> Iterator[Reading]:
        """The records as `actor` may see them, at one moment."""
        with self._store.reading(actor.cameras) as reading:
            yield reading

    def wait_for(self, change: int) -> None:
        """Return once `change` can be read; raises ChangeNotReachedError after a short wait."""
        if self._change < change:
            self._store.look_soon()
        with self._published:
            if not self._published.wait_for(lambda: self._change >= change, timeout=CHANGE_WAIT_S):
                raise ChangeNotReachedError(f"expected change {change}, got no further than {self._change}")

    def replay(self, actor: Actor, once: Once[T]) -> Written[T] | None:
        """The answer already given under this idempotency key, if there is one."""
        with self.reading(actor) as reading:
            return _replayed(reading, actor, once)

    def sweep_archives(self) -> None:
        """Take away the archives that no job needs any more; raises StoreError."""

        def needed() -> set[str]:
            with self._store.reading() as reading:
                return jobs.with_archives(reading)

        self.archives.sweep(needed)

    def close(self) -> None:
        """Finish what is being written and let go of the folder."""
        self._opened.close()

    def _new_index(self, bundle_id: str, dimension: int) -> Active:
        if self._index_address is None:
            return Active(bundle_id, dimension, MemoryIndex(dimension, self._device))
        home = self._home.folder
        index = MilvusIndex(self._index_address, home, bundle_id, dimension, lambda: self._store.reading())
        return Active(bundle_id, dimension, index)

    def _serve(self, active: Active) -> None:
        """Search with this one from now on."""
        self._active.index.close()
        self._active, self._indexes = active, self._indexes + 1
        active.index.serve(self._index_name)

    def _load(self) -> None:
        """Bring index and crops in line with the store, whatever interrupted the last run."""
        total = self._store.write(Reading.count_sightings, committed=self._load_from)
        active = self._active
        self._store.write(partial(activations.begin_with, bundle_id=active.bundle_id, dimension=active.dimension))
        if missing := total - self.sightings_indexed:
            _LOG.warning("%d of %d sightings have no vector of this bundle: no search finds them", missing, total)
        if self._store.erasure_due or self._retiring:
            self._store.erase(nothing)

    def _load_from(self, reading: Reading, _: int) -> None:
        """On the writer's thread: nothing is written until all of it is there, and others are followed from here on."""
        self._fill(self._active, reading)
        self._index_name = "_".join(filter(None, ("reid", reading.store_id(), self._store.home_id)))
        self._active.index.serve(self._index_name)
        self.seal_key = reading.seal_key()
        self._crops.claim(reading.store_id(), reading.images)
        self._retiring = self._crops.sweep(reading.images)
        self._change = reading.change()
        self._is_loaded = True

    def _fill(self, active: Active, reading: Reading) -> None:
        for rows, vectors in stored_vectors(reading, active.bundle_id, active.dimension):
            active.index.add(rows, vectors)

    def _apply_tombstones(self) -> None:
        """Erase what the file says was erased and the store does not know of: it was restored from a backup."""
        with self._store.reading() as reading:
            unknown = self._erased.hashes - {sha256 for _, sha256 in reading.tombstones(0)}
        if not unknown:
            return

        def operation(writing: Writing) -> Effect[int]:
            return Effect.of_deletion(writing.bury(unknown))

        done = self._erase(SERVICE, "apply tombstones", operation)
        _LOG.warning("a backup was restored: %d sightings that had been erased since were erased again", done.value)

    def kept_crop(self, sighting: Sighting) -> bytes:
        """The JPEG bytes of a sighting that was read; raises NotFoundError where it was deleted since, DamageError."""
        try:
            return self._crops.read(sighting.image_sha256)
        except FileNotFoundError as error:
            raise NotFoundError(f"expected a sighting that exists, got {sighting.sighting_id!r}") from error

    def _write(
        self, actor: Actor, action: str, operation: Callable[[Writing], Effect[T]], once: Once[T] | None = None
    ) -> Written[T]:
        """Run `operation` in one transaction with its change number, audit line and idempotent answer."""
        transaction = partial(_transaction, actor=actor, action=action, operation=operation, once=once)
        written, _ = self._store.write(transaction, actor.cameras, self._publish)
        return written

    def _erase(self, actor: Actor, action: str, operation: Callable[[Writing], Effect[T]]) -> Written[T]:
        """:meth:`_write` for what deletes: it also waits until that is gone from the disk."""
        transaction = partial(_transaction, actor=actor, action=action, operation=operation, once=None)
        (written, _), pending = self._store.erase(transaction, actor.cameras, self._publish)
        return replace(written, pending=pending)

    def _publish(self, _: Reading, done: tuple[Written[T], Effect[T] | None]) -> None:
        """Let index and crops follow a committed transaction; on the writer thread, in the order of changes."""
        written, effect = done
        if effect is None:
            return
        self._retiring.update(effect.lost_crops)
        if effect.activated is not None:
            assert self._preparing is not None
            effect.activated.index.remove(np.concatenate([_no_rows(), *self._preparing]))
            self._serve(effect.activated)
        if len(effect.added):
            self._active.index.add(effect.added, np.stack(effect.vectors))
        self._active.index.remove(effect.removed)
        if self._preparing is not None:
            self._preparing.append(effect.removed)
        with self._published:
            self._change = written.change
            self._published.notify_all()

    def _follow_others(self, reading: Reading, news: News) -> None:
        """Let the index follow what another service wrote into the same store; on the writer thread."""
        if not self._is_loaded:
            return
        in_force = activations.current(reading)
        if news.everything or in_force.bundle_id != self.bundle_id or not self._extend(reading, news):
            anew = self._new_index(in_force.bundle_id, in_force.dimension)
            self._fill(anew, reading)
            self._serve(anew)
        if self._preparing is not None:
            self._preparing.append(news.removed)
        with self._published:
            self._change = reading.change()
            self._published.notify_all()

    def _extend(self, reading: Reading, news: News) -> bool:
        """Add and remove what is new; False if some of it was embedded late, so that it has no place at the end."""
        index = self._active.index
        rows, vectors = reading.vectors(news.embedded, self.bundle_id, self.dimension)
        late = rows <= index.last_id
        if len(index.view().positions(rows[late])) < np.count_nonzero(late):
            return False
        index.add(rows[~late], vectors[~late])
        index.remove(news.removed)
        return True

    def _retire_soon(self, hashes: Sequence[str]) -> None:
        """Remove crops of a write that came to nothing, unless a sighting needs them."""

        def retire(reading: Reading, _: None) -> None:
            self._retiring.update(hashes)
            self._retire(reading)

        self._store.write(nothing, committed=retire)

    def _follow_erasure(self, reading: Reading) -> tuple[str, ...]:
        """Let files follow what the store erased: crops, archives, and the file of the erased; what is left to do."""
        if not self._is_loaded:
            return ("crops",)  # which they are is not known yet
        self._retire(reading)
        done = {
            "crops": not self._retiring,
            "archives": self.archives.remove_all(),
            "tombstones": self._keep_erased(reading),
        }
        return tuple(name for name, is_done in done.items() if not is_done)

    def _mark(self) -> Mark:
        return self._indexes, self._active.index.removals

    def _is_forgotten(self, mark: Mark) -> bool:
        """An index that took the place of another has nothing of what went before, once that one's is dropped."""
        indexes, removals = mark
        return self._active.index.has_forgotten(removals if indexes == self._indexes else 0)

    def _retire(self, reading: Reading) -> None:
        """Remove the crops that lost a sighting and have none left.

        The one place that takes crops away while the gallery is open. It runs on the writer thread between
        transactions, so that what it finds unused is unused when it goes.
        """
        self._retiring = self._crops.remove([sha256 for sha256 in self._retiring if not reading.is_image_used(sha256)])

    def _keep_erased(self, reading: Reading) -> bool:
        """Write new tombstones into the file that outlives the store; whether that has all of them."""
        new = reading.tombstones(self._last_tombstone)
        try:
            self._erased.append(sha256 for _, sha256 in new)
        except OSError as error:
            _LOG.error("the file of what was erased cannot be written, which will be tried again: %s", error.strerror)
            return False
        self._last_tombstone = max((row for row, _ in new), default=self._last_tombstone)
        return True


def _transaction(
    writing: Writing, actor: Actor, action: str, operation: Callable[[Writing], Effect[T]], once: Once[T] | None
) -> tuple[Written[T], Effect[T] | None]:
    if once is not None and (replayed := _replayed(writing, actor, once)):
        return replayed, None
    change = writing.begin_change()
    effect = operation(writing)
    writing.note(actor, action, effect.person_id, effect.count, change)
    if once is not None:
        writing.remember(actor, once, change, once.render(effect.value, change), effect.mentions)
    return Written(effect.value, change), effect


def _replayed(reading: Reading, actor: Actor, once: Once[T]) -> Written[T] | None:
    found = reading.answer(actor.key_id, once.key_sha256, once.body_sha256)
    return None if found is None else Written(None, found[0], replay=found[1])


def stored_vectors(
    reading: Reading, bundle_id: str, dimension: int, after_row: int = 0
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
    """Rows (N,), rising, and vectors (N, D) of a bundle, some at a time, of the sightings after a row.

    Raises HomeError for vectors that no bundle gave: what the disk held of them is damaged.
    """
    left = reading.bundle_dimension(bundle_id)
    if left not in (None, dimension):
        raise HomeError(f"expected vectors of {dimension} numbers in the store, got {left}")
    for rows, vectors in reading.all_vectors(bundle_id, dimension, after_row):
        unit = are_unit(vectors)
        if not unit.all():
            raise HomeError(
                f"expected unit vectors in the store, got another at row {rows[~unit][0]}: restore a backup"
            )
        yield rows, vectors
