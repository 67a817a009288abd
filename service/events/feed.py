"""The news that something changed, passed on to whoever waits for it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.gallery.errors import ChangeNotReachedError
from service.gallery.gallery import Gallery


class ChangeFeed:
    """Calls its listeners, on a thread of its own, after every change of a gallery and when it closes."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._changing = threading.Lock()
        self._listeners: set[Callable[[], object]] = set()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="change-feed")
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether no more news will come."""
        return self._closed.is_set()

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    @contextmanager
    def listening(self, listener: Callable[[], object]) -> Iterator[None]:
        """Have `listener` called; it must return at once."""
        with self._changing:
            self._listeners.add(listener)
        try:
            yield
        finally:
            with self._changing:
                self._listeners.discard(listener)

    def end(self) -> None:
        """Let everybody who waits go; without waiting for the thread."""
        self._closed.set()
        self._tell()

    def close(self) -> None:
        """:meth:`end`, and let go of the gallery."""
        self.end()
        self._thread.join()

    def _follow(self) -> None:
        seen = self._gallery.change
        while not self.closed:
            try:
                self._gallery.wait_for(seen + 1)
            except ChangeNotReachedError:
                continue
            seen = self._gallery.change
            self._tell()

    def _tell(self) -> None:
        with self._changing:
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener()
