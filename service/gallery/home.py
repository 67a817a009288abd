"""REID_HOME: the one folder that the service writes, held by one service at a time."""

import fcntl
import os
import socket
from pathlib import Path

from service.gallery.digests import sha256
from service.gallery.errors import HomeError

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def is_held(folder: Path) -> bool:
    """Whether a service holds the folder just now. Makes nothing."""
    try:
        lock = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def kept_text(path: Path, fresh: str) -> str:
    """What a small file says, readable by its owner alone; `fresh` is written where there is none. Raises HomeError."""
    try:
        path.touch(mode=0o600)
        if not path.read_text():  # new, or its maker was killed
            path.write_text(fresh)
        return path.read_text()
    except OSError as error:
        raise HomeError(f"expected a file that can be written at {path}, got: {error.strerror}") from error


def place_of(folder: Path) -> str:
    """A digest that tells a home from its copies, wherever they are, and from itself before its machine began anew."""
    found = folder.stat()
    boot = _BOOT_ID.read_text() if _BOOT_ID.exists() else ""  # Linux has it: a cloned machine is alike in all else
    return sha256(f"{boot} {socket.gethostname()} {folder.resolve()} {found.st_dev} {found.st_ino}".encode())[:16]


def make_home(folder: Path) -> None:
    """Make the folder, readable by its owner alone, if it is missing. Raises HomeError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise HomeError(f"expected a REID_HOME that can be written, got {folder}: {error.strerror}") from error


class Home:
    """The folder, made if it is missing (readable by its owner alone) and locked until :meth:`close`.

    The lock is the kernel's: it goes with the process, however that ends. Raises HomeError if another service
    holds the folder or it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make_home(folder)
        try:
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise HomeError(f"expected a REID_HOME that can be written, got {folder}: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise HomeError(f"expected a REID_HOME of its own, but another service holds {folder}") from error

    def close(self) -> None:
        """Let another service in."""
        os.close(self._lock)
