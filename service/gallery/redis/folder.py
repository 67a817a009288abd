"""Crops as files in a folder that all services over a gallery see."""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from service.gallery.crops import sync_folder
from service.gallery.errors import HomeError, StoreError
from service.gallery.home import kept_text

_LOG = logging.getLogger(__name__)
_ABANDONED_S = 86_400  # a file that no commit came to name for so long never will be


class SharedFolder:
    """Files `<first two digits>/<sha256>-<home id>-<random>.jpg`. Safe from any thread and any service.

    No name is used twice: whoever takes a file away, however late, takes no other one with it. :meth:`claim` comes
    before all else.
    """

    def __init__(self, folder: Path, home_id: str) -> None:
        self._folder = folder
        self._home_id = home_id

    def claim(self, store_id: str, *, is_new: bool) -> None:
        """Bind the folder to the gallery of that id; raises HomeError where it is bound to another.

        Only for a gallery that has no crops in a folder yet (`is_new`) it is made: an empty one in its place is a disk
        that is not there.
        """
        owner = self._folder / "store"
        if not is_new and not owner.exists():
            raise HomeError(
                f"expected the folder that has the crops of this gallery, got {self._folder} without any: mount it, or"
                " set REID_CROPS to where it is"
            )
        self._make()
        if kept_text(owner, store_id) != store_id:
            raise HomeError(
                f"expected the gallery that the crops in {self._folder} were kept with, got another or a new one; set"
                " REID_CROPS to another folder, or REID_STORE to that gallery"
            )

    def _make(self) -> None:
        try:
            for part in (self._folder, *(self._folder / f"{number:02x}" for number in range(256))):
                part.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self._folder)
        except OSError as error:
            raise HomeError(
                f"expected a folder for crops to write into, got {self._folder}: {error.strerror}"
            ) from error

    def put(self, sha256: str, jpeg: bytes) -> str:
        """Keep the bytes of that hash, safe from a power cut, in a new file; its name. Raises StoreError."""
        name = f"{sha256}-{self._home_id}-{os.urandom(8).hex()}"
        path = self._path(name)
        try:
            with path.open("xb") as file:
                file.write(jpeg)
                file.flush()
                os.fsync(file.fileno())
            sync_folder(path.parent)
        except OSError as error:
            with suppress(OSError):
                path.unlink()
            raise StoreError(f"the crop could not be written: {error.strerror}") from error
        return name

    def read(self, name: str) -> bytes:
        """What the file holds; raises FileNotFoundError, StoreError where the disk does not say."""
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StoreError(f"the crop could not be read: {error.strerror}") from error

    def is_dropped(self, name: str) -> bool:
        """Take a file away for good; False where the disk would not let it go."""
        path = self._path(name)
        try:
            path.unlink(missing_ok=True)
            sync_folder(path.parent)
        except OSError as error:
            _LOG.error("a crop could not be removed, which will be tried again: %s", error.strerror)
            return False
        return True

    def names(self) -> Iterator[list[str]]:
        """All files, some at a time."""
        for number in range(256):
            yield [path.stem for path in (self._folder / f"{number:02x}").glob("*.jpg")]

    def is_abandoned(self, name: str) -> bool:
        """Whether no commit will come to name the file: an earlier run of this home made it, or it is old."""
        try:
            is_old = self._path(name).stat().st_mtime < time.time() - _ABANDONED_S
        except FileNotFoundError:  # another took it away just now
            return False
        return is_old or f"-{self._home_id}-" in name

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / f"{name}.jpg"
