"""Crops in Redis, or in a folder beside it: they come and go with the commits that need them."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from service.gallery.crops import sha256_of
from service.gallery.digests import sha256 as digest_of
from service.gallery.errors import DamageError, HomeError, StoreError
from service.gallery.home import kept_text
from service.gallery.redis.errors import UnknownEndError
from service.gallery.redis.folder import SharedFolder
from service.gallery.redis.link import Link

_LOG = logging.getLogger(__name__)
_FILE = b"file:"  # what Redis has of a crop in the folder: this, and the file's name


class RedisCrops:
    """The crops of one gallery. Those that nothing needs are gone from Redis with the commit that let go of them.

    With a `folder`, that of a new one is a file there, which the commit names; a commit that lets go of it puts it on a
    list, and whichever service comes first takes it away. What Redis holds itself stays there.
    """

    def __init__(self, link: Link, home: Path, folder: SharedFolder | None) -> None:
        self._link = link
        self._owner = home / "store"
        self._folder = folder
        self._changing = threading.Lock()
        self._held: Counter[str] = Counter()
        self._values: dict[str, bytes] = {}

    def claim(self, store_id: str, _: Callable[[str], set[str]]) -> None:
        """Bind home and folder to the store of that id; raises HomeError where they are bound to another."""
        if kept_text(self._owner, store_id) != store_id:
            raise HomeError(
                f"expected the gallery that {self._owner.parent} was used with, got another or a new one: Redis was"
                f" flushed or replaced; restore its files, set REID_STORE to it, or remove {self._owner} to begin anew"
            )
        if self._folder is not None:
            self._folder.claim(store_id)
            self._link.say_crops_are_files()
        elif self._link.are_crops_files():
            raise HomeError("expected REID_CROPS, the folder that has the crops of this gallery, got none")

    @contextmanager
    def keeping(self, jpegs: Sequence[bytes]) -> Iterator[list[str]]:
        """Give their sha256; a commit inside the block that needs one of them keeps it. Raises StoreError."""
        hashes = sha256_of(jpegs)
        values: list[bytes] = []
        try:
            for sha256, jpeg in zip(hashes, jpegs, strict=True):
                values.append(self._value(sha256, jpeg))
            with self._holding(hashes, values):
                yield hashes
        except UnknownEndError:
            values.clear()  # they may be named yet: the next start knows
            raise
        finally:
            self._drop_unnamed(value.removeprefix(_FILE).decode() for value in values if value.startswith(_FILE))

    def held(self, sha256: str) -> bytes | None:
        """What Redis is to have of a crop that is being kept just now."""
        return self._values.get(sha256)

    def read(self, sha256: str) -> bytes:
        """The crop of that hash; raises FileNotFoundError, DamageError, StoreError."""
        (value,) = self._link.crops([sha256])
        if value is None:
            raise FileNotFoundError(sha256)
        jpeg = self._in_folder(sha256, value) if value.startswith(_FILE) else value
        if digest_of(jpeg) != sha256:
            raise DamageError(f"expected the crop that was kept, got {len(jpeg)} other bytes")
        return jpeg

    def remove(self, _: Iterable[str]) -> set[str]:
        """Take away what commits of any service let go of; raises StoreError."""
        if self._folder is None:
            return set()
        left = set()
        while doomed := [name for name in self._link.doomed_files() if name not in left]:
            for name in doomed:
                if self._folder.is_dropped(name.removeprefix(_FILE.decode())):
                    self._link.forget_file(name)
                else:
                    left.add(name)
        return left

    def sweep(self, _: Callable[[str], set[str]]) -> set[str]:
        """Remove files that no commit came to name."""
        if self._folder is not None:
            for names in self._folder.unfinished():
                self._drop_unnamed(names)
        return self.remove(())

    @contextmanager
    def _holding(self, hashes: list[str], values: list[bytes]) -> Iterator[None]:
        with self._changing:
            self._held.update(hashes)
            self._values.update(zip(hashes, values, strict=True))
        try:
            yield
        finally:
            with self._changing:
                self._held -= Counter(hashes)
                self._values = {one: value for one, value in self._values.items() if one in self._held}

    def _value(self, sha256: str, jpeg: bytes) -> bytes:
        return jpeg if self._folder is None else _FILE + self._folder.put(sha256, jpeg).encode()

    def _in_folder(self, sha256: str, value: bytes) -> bytes:
        if self._folder is None:
            raise DamageError("expected REID_CROPS, the folder that has the crops of this gallery, got none")
        try:
            return self._folder.read(value.removeprefix(_FILE).decode())
        except FileNotFoundError as error:
            if self._link.crops([sha256]) == [value]:
                raise DamageError(f"expected the crop that was kept, got no file {error.filename}") from error
            raise  # it went just now

    def _drop_unnamed(self, names: Iterable[str]) -> None:
        """Take away those files that the gallery does not name; where it does not answer, the next start does."""
        files = list(names)
        if not files or self._folder is None:
            return
        try:
            named = self._link.crops([name.split("-")[0] for name in files])
        except StoreError as error:
            _LOG.warning("%d crops that may not be needed stay until the next start: %s", len(files), error)
            return
        for name, value in zip(files, named, strict=True):
            if value != _FILE + name.encode():
                self._folder.is_dropped(name)
