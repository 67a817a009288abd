"""The index in Milvus, and the thread that has it follow the store."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid.search import View
from reid.search.view import Layout, check_vectors
from service.gallery.errors import HomeError, IndexAwayError, StoreError
from service.gallery.milvus.address import MilvusAddress
from service.gallery.milvus.collections import Collections, check_installed
from service.gallery.milvus.view import Live, MilvusView
from service.gallery.sqlite.reading import Reading

_LOG = logging.getLogger(__name__)
MOST_FRESH = 10_000  # rows that Milvus has not got yet
_PATIENCE_S = 5.0  # of a search, with an index that has not caught up
_LOOK_S = 1.0  # how often Milvus is asked whether all of it is still there
_PUT_AT_ONCE = 1_000  # rows
_FIRST_RETRY_S, _LAST_RETRY_S = 0.05, 2.0
_FIRST_ROWS = 1_024


class MilvusIndex:
    """Row numbers here, vectors in a collection that a thread of its own fills from the store. Raises HomeError.

    Writes never wait for Milvus: what it has not got yet, MOST_FRESH rows at most, a search scores itself. What was
    removed is out of every answer at once, and out of Milvus once a collection without it took the place of the one
    before. `read` begins a reading of the store.
    """

    def __init__(
        self,
        address: MilvusAddress,
        home: Path,
        bundle_id: str,
        dimension: int,
        read: Callable[[], AbstractContextManager[Reading]],
    ) -> None:
        self.dimension = dimension
        check_installed(address)
        self._address, self._home = address, home
        self._bundle_id = bundle_id
        self._read = read
        self._layout = Layout()
        self._length, self._last_id = 0, -1
        self._removals = 0  # calls that removed something
        self._live: Live | None = None
        self._next: Live | None = None  # to take its place, once that has all
        self._doomed: list[str] = []  # collections that are to go
        self._away = ""
        self._collections: Collections | None = None
        self._look_at_s = 0.0
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None

    @property
    def last_id(self) -> int:
        """As :class:`Index` has it."""
        return self._last_id

    @property
    def state(self) -> str:
        """As :class:`Index` has it."""
        return "milvus is away" if self._away else "milvus"

    @property
    def removals(self) -> int:
        """As :class:`Index` has it."""
        return self._removals

    def has_forgotten(self, removals: int) -> bool:
        """As :class:`Index` has it: whether all collections from before the last of those removals were dropped."""
        live = self._live
        return live is not None and live.removals >= removals and not self._doomed

    def view(self) -> View:
        """As :class:`Index` has it, without vectors."""
        return View(self.dimension, self._layout, self._length)

    def through(self, view: View, reading: Reading) -> View:
        """As :class:`Index` has it. Its search raises IndexAwayError where Milvus is away, or has not caught up."""
        return MilvusView(
            self.dimension,
            view.layout,
            view.length,
            reading,
            self._bundle_id,
            self._reachable,
            misses_some=self._address.kind != "flat",
        )

    def add(self, row_ids: NDArray[np.int64], vectors: NDArray[np.float16]) -> None:
        """As :class:`Index` has it; the vectors themselves are read from the store when Milvus is to have them."""
        check_vectors(vectors, self.dimension)
        if np.any(np.diff(row_ids, prepend=self._last_id) <= 0):
            raise ValueError("expected row ids that rise and were never used, got others")
        end = self._length + len(row_ids)
        if end > len(self._layout.ids):
            more = (0, max(end, 2 * len(self._layout.ids), _FIRST_ROWS) - len(self._layout.ids))
            self._layout = Layout((), (), np.pad(self._layout.ids, more), np.pad(self._layout.alive, more))
        self._layout.ids[self._length : end] = row_ids
        self._layout.alive[self._length : end] = True
        self._last_id = int(row_ids[-1]) if len(row_ids) else self._last_id
        with self._changed:
            self._length = end
            self._changed.notify_all()

    def remove(self, row_ids: NDArray[np.int64]) -> int:
        """As :class:`Index` has it."""
        positions = np.unique(self.view().positions(row_ids))
        positions = positions[self._layout.alive[positions]]
        self._layout.alive[positions] = False
        if len(positions):
            with self._changed:
                self._removals += 1
                self._changed.notify_all()
        return len(positions)

    def serve(self, name: str) -> None:
        """Begin to follow: collections of that name which are there already go."""
        self._name = f"{name}_"
        self._thread = threading.Thread(target=self._run, name="milvus")
        self._thread.start()

    def close(self) -> None:
        """Stop following, or never begin; what Milvus has stays until the gallery is served again."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is None:
            return
        self._thread.join()
        collections, self._collections = self._collections, None
        if collections is not None:
            collections.close()

    @property
    def is_followed(self) -> bool:
        """Whether Milvus has every row that is here, and none that is not."""
        live = self._live
        return live is not None and live.followed == self._length and self.has_forgotten(self._removals)

    def _reachable(self, length: int) -> Live | None:
        """What has all of the first `length` positions but MOST_FRESH; waits a little for it."""

        def lacking() -> int:
            return length - (0 if self._live is None else self._live.followed)

        with self._changed:
            self._changed.wait_for(lambda: self._away or lacking() <= MOST_FRESH, _PATIENCE_S)
            if self._away:
                raise IndexAwayError(self._away)
            if lacking() > MOST_FRESH:
                raise IndexAwayError(f"expected an index that has all sightings, got one that lacks {lacking()}")
            return self._live

    def _run(self) -> None:
        retry_s = _FIRST_RETRY_S
        while not self._closing:
            try:
                worked = self._step()
                retry_s, self._away = _FIRST_RETRY_S, ""
                with self._changed:
                    self._changed.notify_all()
            except Exception as error:  # noqa: BLE001 (searches raise it, and this goes on)
                said = str(error) or repr(error)
                if said != self._away:
                    known = isinstance(error, HomeError | StoreError)
                    _LOG.error("searches wait for the index: %s", said, exc_info=not known)
                self._look_at_s = 0.0
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
                with self._changed:
                    self._away = said
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._closing, retry_s)
                continue
            if not worked:
                self._wait()

    def _wait(self) -> None:
        with self._changed:
            idle_s = max(0.0, self._look_at_s - time.monotonic())
            self._changed.wait_for(lambda: self._closing or not self.is_followed, timeout=idle_s)

    def _step(self) -> bool:
        """Do one thing that is to be done; False if there was none."""
        if self._collections is None:
            self._collections = Collections(self._address, self._home, self._name)
        while self._doomed:
            self._collections.drop(self._doomed[-1])
            self._doomed.pop()
        self._look()
        live, worked = self._live, False
        if live is not None and live.followed < self._length:
            self._live, worked = self._put(live), True  # rows that are new do not wait for the next collection
        if live is None or live.removals < self._removals:
            self._fill_next(self._collections)
            worked = True
        return worked

    def _look(self) -> None:
        """Every now and then, and after an error: what Milvus lost some of is filled anew."""
        if time.monotonic() < self._look_at_s:
            return
        self._live, self._next = self._if_whole(self._live), self._if_whole(self._next)
        self._look_at_s = time.monotonic() + _LOOK_S

    def _if_whole(self, live: Live | None) -> Live | None:
        """It may have more than it was seen to take: rows whose put had no answer, and is made again."""
        if live is None or live.collections.count(live.name) >= live.rows:
            return live
        _LOG.warning("Milvus has lost what it was given: it is filled anew")
        self._doomed.append(live.name)
        return None

    def _fill_next(self, collections: Collections) -> None:
        """Go on to fill another collection from the store; once that has all, it answers, and the one before is to go.

        What is removed meanwhile takes another one after it, so that none of them is filled without end.
        """
        if self._next is None:
            self._next = self._begun(collections)
        elif self._next.followed < self._length:
            self._next = self._put(self._next)
        else:
            if self._live is not None:
                self._doomed.append(self._live.name)
            self._live, self._next = self._next, None

    def _begun(self, collections: Collections) -> Live:
        removals = self._removals
        name = collections.new_name()
        try:
            collections.make(name, self.dimension)
        except IndexAwayError:
            self._doomed.append(name)  # it may be there all the same
            raise
        return Live(collections, name, np.zeros(0, np.bool_), removals)

    def _put(self, live: Live) -> Live:
        """Give Milvus the next rows that are still in the store."""
        end = min(live.followed + _PUT_AT_ONCE, self._length)
        layout = self._layout
        some, alive = layout.ids[live.followed : end], layout.alive[live.followed : end].copy()
        with self._read() as reading:
            rows, vectors = reading.vectors(some[alive], self._bundle_id, self.dimension)
        live.collections.put(live.name, rows, vectors)
        return replace(live, held=np.concatenate([live.held, np.isin(some, rows)]))
