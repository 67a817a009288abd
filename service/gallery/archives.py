"""Whole galleries as files: exports to be fetched, uploads to be taken in. An erasure takes all of them away."""

import logging
import os
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from service.gallery.errors import ErasedError, StoreError

_LOG = logging.getLogger(__name__)
_UNFINISHED = ".unfinished"


class ArchiveFiles:
    """Files named by the job that they are of. Safe from any thread.

    A file is there before the first record for it is read: an erasure after that takes it away, finished or not.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._changing = threading.Lock()
        self._held: set[str] = set()

    def path(self, job_id: str) -> Path:
        """Where the archive of a job lies; raises ErasedError where it does not, or not any more."""
        path = self._folder / job_id
        if not path.exists():
            raise ErasedError(
                "expected an archive that is kept, got one that went when somebody was erased: make it again"
            )
        return path

    @contextmanager
    def holding(self, job_id: str) -> Iterator[None]:
        """Inside the block :meth:`sweep` lets the archive be: its job is still to be kept."""
        self._held.add(job_id)
        try:
            yield
        finally:
            self._held.discard(job_id)

    @contextmanager
    def writing(self, job_id: str) -> Iterator[IO[bytes]]:
        """A new file, whose bytes can be read again; kept, whole and durable, once the block ends well.

        Raises ErasedError at the end if somebody was erased meanwhile, StoreError where the disk refuses.
        """
        draft = self._folder / f"{job_id}{_UNFINISHED}"
        try:
            with os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            with self._changing:
                self.check_unfinished(job_id)
                draft.rename(self._folder / job_id)
        except OSError as error:
            raise StoreError(f"the archive could not be written: {error.strerror}") from error
        finally:
            with suppress(OSError):
                draft.unlink()

    def check_unfinished(self, job_id: str) -> None:
        """Raise ErasedError if what is being written was taken away."""
        if not (self._folder / f"{job_id}{_UNFINISHED}").exists():
            raise ErasedError("expected nobody to be erased while an archive is written, got an erasure: begin again")

    def remove_all(self) -> bool:
        """Take away what an erasure must reach; whether nothing is left."""
        with self._changing:
            try:
                names = os.listdir(self._folder)  # noqa: PTH208
            except OSError as error:
                _LOG.error("archives could not be looked for, which will be tried again: %s", error.strerror)
                return False
            return all([self._remove(name) for name in names])  # noqa: C419 (each is tried)

    def sweep(self, needed: Callable[[], Collection[str]]) -> None:
        """Take away the archives that nobody holds and no job needs, which is asked after the files were looked at.

        Raises StoreError.
        """
        with self._changing:
            try:
                names = os.listdir(self._folder)  # noqa: PTH208
            except OSError as error:
                raise StoreError(f"archives could not be looked for: {error.strerror}") from error
            idle = {name for name in names if name.removesuffix(_UNFINISHED) not in self._held}
        if idle:
            for name in idle - {*needed()}:
                self._remove(name)

    def _remove(self, name: str) -> bool:
        try:
            (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            _LOG.error("an archive could not be removed, which will be tried again: %s", error.strerror)
            return False
        return True
