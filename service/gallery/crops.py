"""The kept crops: JPEG files named by their content, whole on the disk or not there."""

import logging
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from service.gallery import digests
from service.gallery.errors import DamageError, HomeError, StoreError

_LOG = logging.getLogger(__name__)


class Crops(Protocol):
    """Where crops are kept: files here, or the store's own."""

    def claim(self, store_id: str, needed: Callable[[str], set[str]], /) -> None:
        """Bind what is kept to the store of that id; raises HomeError where it is another's."""

    def keeping(self, jpegs: Sequence[bytes]) -> AbstractContextManager[list[str]]:
        """Keep the bytes and give their sha256: a sighting that is written inside the block has its crop."""

    def read(self, sha256: str) -> bytes:
        """The crop of that hash; raises FileNotFoundError, DamageError."""

    def remove(self, hashes: Iterable[str], /) -> set[str]:
        """Take crops away for good, and return those that stay for now."""

    def sweep(self, used: Callable[[str], set[str]], /) -> set[str]:
        """Remove what was left behind, and return what stays for now."""


class CropFiles:
    """Files `<first two digits>/<sha256>.jpg` below a folder that belongs to one store. Safe from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owner = folder / "store"
        self._unfinished = folder / "unfinished"
        self._changing = threading.Lock()
        self._held: Counter[str] = Counter()
        for part in (folder, self._unfinished, *(folder / f"{number:02x}" for number in range(256))):
            part.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder)

    def claim(self, store_id: str, needed: Callable[[str], set[str]]) -> None:
        """Bind the folder to the store of that id; `needed` gives the crops it needs that begin with two digits.

        Raises HomeError where it is bound to another, or where it is bound to none and cannot be this one's:
        what a store does not need is removed at its start, so a wrong one must never get that far.
        """
        if self._owner.exists():
            if self._owner.read_text() != store_id:
                raise HomeError(
                    f"expected the store that the crops in {self._folder} were kept with, got another or a new one;"
                    " set REID_STORE to that store, restore both from one backup, or move the crops away to begin anew"
                )
            return
        wanted = found = present = 0
        for digits, here in self._kept():
            theirs = needed(digits)
            wanted, found, present = wanted + len(theirs), found + len(theirs & here), present + len(here)
        if found < wanted:
            raise HomeError(
                f"expected the {wanted} crops of this store in {self._folder}, got {found};"
                " restore crops and database from one backup"
            )
        if present and not wanted:
            raise HomeError(
                f"expected an empty {self._folder} beside a new store, got {present} crops; restore the database"
                " that they were kept with, set REID_STORE to it, or move the crops away to begin anew"
            )
        self._write(self._owner, store_id.encode())

    @contextmanager
    def keeping(self, jpegs: Sequence[bytes]) -> Iterator[list[str]]:
        """Keep the bytes and give their sha256; inside the block they survive a power cut, and nobody removes them.

        Whoever leaves the block must need them by then, or have them removed. Raises StoreError when the disk
        refuses them.
        """
        hashes = sha256_of(jpegs)
        with self._changing:
            self._held.update(hashes)
        try:
            for sha256, jpeg in zip(hashes, jpegs, strict=True):
                self._put(sha256, jpeg)
            yield hashes
        finally:
            with self._changing:
                self._held -= Counter(hashes)

    def read(self, sha256: str) -> bytes:
        """The crop of that hash; raises FileNotFoundError, DamageError for a file that holds something else."""
        jpeg = self.path(sha256).read_bytes()
        if digests.sha256(jpeg) != sha256:
            raise DamageError(f"expected the crop that was kept, got {len(jpeg)} other bytes in {self.path(sha256)}")
        return jpeg

    def path(self, sha256: str) -> Path:
        """Where the crop of that hash lies, if it is kept."""
        return self._folder / sha256[:2] / f"{sha256}.jpg"

    def remove(self, hashes: Iterable[str]) -> set[str]:
        """Take crops away for good, and return those that the disk would not let go.

        Those that are not there are no matter; those that are being kept just now are their keeper's.
        """
        return {sha256 for sha256 in hashes if not self._remove(sha256)}

    def sweep(self, used: Callable[[str], set[str]]) -> set[str]:
        """Remove what an interrupted write or erasure left behind, and return what the disk would not let go.

        `used` gives the crops in use that begin with two digits: a 256th of them at a time is in memory.
        """
        for path in self._unfinished.iterdir():
            with suppress(OSError):
                path.unlink()
        return set().union(*(self.remove(here - used(digits)) for digits, here in self._kept()))

    def _kept(self) -> Iterator[tuple[str, set[str]]]:
        """The crops on the disk by their first two digits."""
        for number in range(256):
            digits = f"{number:02x}"
            names = os.listdir(self._folder / digits)  # noqa: PTH208 (a million paths are slower than their names)
            yield digits, {name.removesuffix(".jpg") for name in names if name[:2] == digits and name.endswith(".jpg")}

    def _put(self, sha256: str, jpeg: bytes) -> None:
        with suppress(OSError, DamageError):
            self.read(sha256)
            return
        try:
            self._write(self.path(sha256), jpeg)
        except OSError as error:
            raise StoreError(f"the crop could not be written: {error.strerror}") from error

    def _remove(self, sha256: str) -> bool:
        path = self.path(sha256)
        with self._changing:
            if self._held[sha256]:
                return True
            try:
                path.unlink(missing_ok=True)
                sync_folder(path.parent)
            except OSError as error:
                _LOG.error("a crop could not be removed, which will be tried again: %s", error.strerror)
                return False
        return True

    def _write(self, path: Path, data: bytes) -> None:
        descriptor, name = tempfile.mkstemp(dir=self._unfinished)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).rename(path)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(name).unlink()
            raise
        sync_folder(path.parent)


def sha256_of(jpegs: Iterable[bytes]) -> list[str]:
    """The names under which crops are kept."""
    return [digests.sha256(jpeg) for jpeg in jpegs]


def sync_folder(folder: Path) -> None:
    """Have the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
