"""The kept crops: JPEG files named by their content, whole on the disk or not there."""

import hashlib
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from service.gallery.errors import StoreError


class CropFiles:
    """Files `<first two digits>/<sha256>.jpg` below a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unfinished = folder / "unfinished"
        self._unfinished.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(256):
            (folder / f"{number:02x}").mkdir(mode=0o700, exist_ok=True)
        _sync_folder(folder)

    def put(self, jpeg: bytes) -> str:
        """Keep the bytes and return their sha256; when this returns they survive a power cut.

        Raises StoreError when the disk refuses them.
        """
        sha256 = hashlib.sha256(jpeg).hexdigest()
        path = self.path(sha256)
        if not path.exists():
            try:
                self._write(path, jpeg)
            except OSError as error:
                raise StoreError(f"the crop could not be written: {error.strerror}") from error
        return sha256

    def path(self, sha256: str) -> Path:
        """Where the crop of that hash lies, if it is kept."""
        return self._folder / sha256[:2] / f"{sha256}.jpg"

    def remove(self, hashes: Iterable[str]) -> None:
        """Take crops away for good; those that are not there are no matter. Raises StoreError."""
        for sha256 in hashes:
            path = self.path(sha256)
            try:
                path.unlink(missing_ok=True)
                _sync_folder(path.parent)
            except OSError as error:
                raise StoreError(f"a crop could not be removed, the next start will: {error.strerror}") from error

    def sweep(self, used: set[str]) -> int:
        """Remove what an interrupted write or erasure left behind, and return how many files that were."""
        left = [path for path in self._folder.glob("*/*") if path.stem not in used]
        for path in left:
            path.unlink()
        return len(left)

    def _write(self, path: Path, jpeg: bytes) -> None:
        descriptor, name = tempfile.mkstemp(dir=self._unfinished)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(jpeg)
                file.flush()
                os.fsync(file.fileno())
            Path(name).rename(path)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(name).unlink()
            raise
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
