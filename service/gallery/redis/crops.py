"""Crops in Redis: they come and go with the commits that need them."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from service.gallery.crops import sha256_of
from service.gallery.digests import sha256 as digest_of
from service.gallery.errors import DamageError, HomeError
from service.gallery.home import kept_text
from service.gallery.redis.link import Link


class RedisCrops:
    """The crops of one gallery. Those that nothing needs are gone with the commit that let go of them."""

    def __init__(self, link: Link, home: Path) -> None:
        self._link = link
        self._owner = home / "store"
        self._changing = threading.Lock()
        self._held: Counter[str] = Counter()
        self._jpegs: dict[str, bytes] = {}

    def claim(self, store_id: str, _: Callable[[str], set[str]]) -> None:
        """Bind the home to the store of that id; raises HomeError where it is bound to another."""
        if kept_text(self._owner, store_id) != store_id:
            raise HomeError(
                f"expected the gallery that {self._owner.parent} was used with, got another or a new one: Redis was"
                f" flushed or replaced; restore its files, set REID_STORE to it, or remove {self._owner} to begin anew"
            )

    @contextmanager
    def keeping(self, jpegs: Sequence[bytes]) -> Iterator[list[str]]:
        """Give their sha256; a commit inside the block that needs one of them keeps it."""
        hashes = sha256_of(jpegs)
        with self._changing:
            self._held.update(hashes)
            self._jpegs.update(zip(hashes, jpegs, strict=True))
        try:
            yield hashes
        finally:
            with self._changing:
                self._held -= Counter(hashes)
                self._jpegs = {one: jpeg for one, jpeg in self._jpegs.items() if one in self._held}

    def held(self, sha256: str) -> bytes | None:
        """The bytes of a crop that is being kept just now."""
        return self._jpegs.get(sha256)

    def read(self, sha256: str) -> bytes:
        """The crop of that hash; raises FileNotFoundError, DamageError, StoreError."""
        jpeg = self._link.crop(sha256)
        if jpeg is None:
            raise FileNotFoundError(sha256)
        if digest_of(jpeg) != sha256:
            raise DamageError(f"expected the crop that was kept, got {len(jpeg)} other bytes in Redis")
        return jpeg

    def remove(self, _: Iterable[str]) -> set[str]:
        """Nothing is left to remove."""
        return set()

    def sweep(self, _: Callable[[str], set[str]]) -> set[str]:
        """Nothing is left behind."""
        return set()
