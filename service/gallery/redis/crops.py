"""Crops in Redis, or in a folder beside it: they come and go with the commits that need them."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from service.gallery.crops import sha256_of
from service.gallery.digests import sha256 as digest_of
from service.gallery.errors import DamageError, HomeError, StoreError
from service.gallery.home import kept_text
from service.gallery.redis.folder import SharedFolder
from service.gallery.redis.link import Link

_LOG = logging.getLogger(__name__)
_AT_ONCE = 200  # files to take away before the writer does something else
_SETTLED = -1  # of a file: no commit came to name it
_FILE = b"file:"  # what Redis has of a crop in the folder: this, and the file's name


@dataclass
class _Held:
    """A crop that requests are keeping just now: each brought one value for Redis, and a commit takes one of them."""

    values: list[bytes] = field(default_factory=list)
    holders: int = 0


class RedisCrops:
    """The crops of one gallery. Those that nothing needs are gone from Redis with the commit that let go of them.

    With a `folder`, that of a new one is a file there, which the commit names; a commit that lets go of it puts it on a
    list, and whichever service comes first takes it away. What Redis holds itself stays there. `version` says how far
    this service's copy has followed; `breathe` is called often while a sweep takes long.
    """

    def __init__(
        self,
        link: Link,
        home: Path,
        folder: SharedFolder | None,
        version: Callable[[], int],
        breathe: Callable[[], None],
    ) -> None:
        self._link = link
        self._owner = home / "store"
        self._folder = folder
        self._version = version
        self._breathe = breathe
        self._changing = threading.Lock()
        self._held: dict[str, _Held] = {}
        self.is_removing = False  # there is more to take away, and it can be
        self._loose: dict[str, int] = {}  # files that may be named: once the copy is past that version, Redis knows

    def claim(self, store_id: str, _: Callable[[str], set[str]]) -> None:
        """Bind home and folder to the store of that id; raises HomeError where they are bound to another.

        So does a folder that is bound to none, where the gallery has crops in one.
        """
        if kept_text(self._owner, store_id) != store_id:
            raise HomeError(
                f"expected the gallery that {self._owner.parent} was used with, got another or a new one: Redis was"
                f" flushed or replaced; restore its files, set REID_STORE to it, or remove {self._owner} to begin anew"
            )
        are_files = self._link.are_crops_files()
        if self._folder is not None:
            self._folder.claim(store_id, is_new=not are_files)
            self._link.say_crops_are_files()
        elif are_files:
            raise HomeError("expected REID_CROPS, the folder that has the crops of this gallery, got none")

    @contextmanager
    def keeping(self, jpegs: Sequence[bytes]) -> Iterator[list[str]]:
        """Give their sha256; a commit inside the block that needs one of them keeps it. Raises StoreError."""
        hashes, taken = sha256_of(jpegs), []
        try:
            for sha256, jpeg in zip(hashes, jpegs, strict=True):
                self._hold(sha256, self._value(sha256, jpeg))
                taken.append(sha256)
            yield hashes
        finally:
            for sha256 in taken:
                self._let_go(sha256)
            self.settle()

    def held(self, sha256: str) -> bytes | None:
        """What Redis is to have of a crop that is being kept just now; on the writer's thread, as what follows."""
        held = self._held.get(sha256)
        return held.values[0] if held is not None and held.values else None

    def spend(self, crops: Mapping[str, bytes | None], version: int) -> None:
        """A commit after that version may come to name these values: they are given to no other.

        What it names may be erased before another comes, and its file with it.
        """
        with self._changing:
            for sha256, value in _values(crops):
                self._held[sha256].values.remove(value)
                self._loosen(value, version)

    def learn(self, crops: Mapping[str, bytes | None], *, kept: bool) -> None:
        """What became of a commit that values were spent on: if it was not `kept`, others may be given them."""
        with self._changing:
            for sha256, value in _values(crops):
                if kept:
                    self._fasten(value)
                elif sha256 in self._held:
                    self._fasten(value)
                    self._held[sha256].values.append(value)
                else:
                    self._loosen(value, _SETTLED)

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
        """Take away some of what commits of any service let go of, and return what is left; raises StoreError."""
        if self._folder is None:
            return set(self._link.doomed_files())  # for a service that has it
        self.is_removing = False
        left = self.settle()
        gone = [name for name in self._link.doomed_files()[:_AT_ONCE] if self._is_dropped(name)]
        self._link.forget_files(gone)
        left = left.union(self._link.doomed_files())
        self.is_removing = bool(gone and left)
        return left

    def sweep(self, _: Callable[[str], set[str]]) -> set[str]:
        """Remove files that no commit came to name."""
        if self._folder is not None:
            for names in self._folder.names():
                self._breathe()
                for name in self._unnamed(names):
                    if self._folder.is_abandoned(name):
                        self._loose[name] = _SETTLED
        return self.remove(())

    def settle(self) -> set[str]:
        """Take away the files of which it is certain by now that no commit names them; those that stay for now."""
        version = self._version()
        with self._changing:
            certain = {name: open_at for name, open_at in self._loose.items() if open_at < version}
        some = dict(islice(certain.items(), _AT_ONCE))
        asked = [name for name, open_at in some.items() if open_at != _SETTLED]
        try:
            named = set(asked) - self._unnamed(asked)
        except StoreError as error:
            _LOG.debug("%d crops that may not be needed stay for now: %s", len(asked), error)
            return set(certain)
        done = {name for name in some if name in named or self._is_dropped(name)}
        with self._changing:
            for name in done:
                self._loose.pop(name, None)
        return certain.keys() - done

    def _unnamed(self, names: Sequence[str]) -> set[str]:
        values = self._link.crops([name.split("-")[0] for name in names])
        return {name for name, value in zip(names, values, strict=True) if value != _FILE + name.encode()}

    def _is_dropped(self, name: str) -> bool:
        assert self._folder is not None
        return self._folder.is_dropped(name.removeprefix(_FILE.decode()))

    def _hold(self, sha256: str, value: bytes) -> None:
        with self._changing:
            held = self._held.setdefault(sha256, _Held())
            held.holders += 1
            held.values.append(value)

    def _let_go(self, sha256: str) -> None:
        with self._changing:
            held = self._held[sha256]
            held.holders -= 1
            while len(held.values) > held.holders:
                self._loosen(held.values.pop(), _SETTLED)
            if not held.holders:
                del self._held[sha256]

    def _loosen(self, value: bytes, open_at: int) -> None:
        if value.startswith(_FILE):
            self._loose[_name(value)] = open_at

    def _fasten(self, value: bytes) -> None:
        if value.startswith(_FILE):
            self._loose.pop(_name(value), None)

    def _value(self, sha256: str, jpeg: bytes) -> bytes:
        return jpeg if self._folder is None else _FILE + self._folder.put(sha256, jpeg).encode()

    def _in_folder(self, sha256: str, value: bytes) -> bytes:
        if self._folder is None:
            raise DamageError("expected REID_CROPS, the folder that has the crops of this gallery, got none")
        try:
            return self._folder.read(_name(value))
        except FileNotFoundError as error:
            if self._link.crops([sha256]) == [value]:
                raise DamageError(f"expected the crop that was kept, got no file {error.filename}") from error
            raise  # it went just now


def _name(value: bytes) -> str:
    return value.removeprefix(_FILE).decode()


def _values(crops: Mapping[str, bytes | None]) -> Iterator[tuple[str, bytes]]:
    return ((sha256, value) for sha256, value in crops.items() if value is not None)
