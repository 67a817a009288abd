"""The file of what was erased: hashes that outlive the database, so that restoring a backup brings nobody back."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from service.gallery.errors import HomeError

_LINE = re.compile(rb"[0-9a-f]{64}")


class ErasedFile:
    """One sha256 a line, in hex; only ever appended to. Raises HomeError for a file that holds anything else."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.touch(mode=0o600)
        except OSError as error:
            raise HomeError(f"expected a file that can be written at {path}, got: {error.strerror}") from error
        self.hashes = self._read()

    def append(self, hashes: Iterable[bytes]) -> None:
        """Add those that are not there; when this returns they survive a power cut. Raises OSError, and adds none."""
        new = [one for one in dict.fromkeys(hashes) if one not in self.hashes]
        if not new:
            return
        with self._path.open("ab") as file:
            size = file.tell()
            try:
                file.write(b"".join(f"{one.hex()}\n".encode() for one in new))
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.truncate(self._path, size)
                raise
        self.hashes.update(new)

    def _read(self) -> set[bytes]:
        whole, _, torn = self._path.read_bytes().rpartition(b"\n")
        if torn:  # cut short while it was appended: the store has it still
            os.truncate(self._path, len(whole) + 1 if whole else 0)
        lines = whole.split(b"\n") if whole else []
        if not all(_LINE.fullmatch(line) for line in lines):
            raise HomeError(f"expected lines of 64 hexadecimal digits in {self._path}, got others")
        return {bytes.fromhex(line.decode()) for line in lines}
