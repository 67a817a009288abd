"""One file that carries a gallery: a zstd-compressed tar of batches, each sealed by the hashes of all that is in it.

    archive.json                what it is, and which bundles made the vectors
    crops/<sha256>.jpg …        what the next batch needs
    batches/000001.json         people and sightings with their vectors
    manifests/000001.json       the sha256 of everything since the last manifest, and of that manifest
    …
    end.json                    the sha256 of the last manifest: nothing is missing

Written and read front to back; never more than a batch is in memory. Nothing is unpacked: names are names of parts, and
lead nowhere.
"""

import io
import json
import re
import sys
import tarfile
from collections.abc import Iterator
from typing import IO, Any

from service.gallery.digests import sha256
from service.gallery.errors import ArchiveError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_BLOCK = tarfile.BLOCKSIZE
_PART = re.compile(r"archive\.json|crops/[0-9a-f]{64}\.jpg|batches/\d{6}\.json|(manifests/\d{6}|end)\.json")
_MOST_PART_BYTES = 64 * 2**20
_MOST_BATCH_BYTES = 256 * 2**20
_MOST_RATIO, _RATIO_COUNTS_FROM_BYTES = 200, 64 * 2**20  # crops and vectors hardly shrink
_LARGEST_WINDOW = 24  # log2 of the bytes that reading may keep for looking back
_LEVEL = 3


class ArchiveWriter:
    """Writes an archive into a binary file. Leave out :meth:`close` and no reader takes it for whole."""

    def __init__(self, file: IO[bytes], about: dict[str, Any]) -> None:
        self._out = zstd.ZstdFile(file, "w", level=_LEVEL)
        self._hashes: dict[str, str] = {}
        self._previous = ""
        self._batches = 0
        self._add("archive.json", _json(about))

    def add_crop(self, sha256: str, jpeg: bytes) -> None:
        """Add a crop that the next batch needs."""
        self._add(f"crops/{sha256}.jpg", jpeg)

    def add_batch(self, batch: dict[str, Any]) -> None:
        """Add people and sightings, and seal them with the crops since the last batch."""
        self._batches += 1
        self._add(f"batches/{self._batches:06}.json", _json(batch))
        manifest = _json({"parts": self._hashes, "previous": self._previous})
        self._hashes = {}
        self._write(f"manifests/{self._batches:06}.json", manifest)
        self._previous = sha256(manifest)

    def close(self) -> None:
        """Say that this is all of it."""
        self._write("end.json", _json({"batches": self._batches, "last": self._previous}))
        self._out.write(bytes(2 * _BLOCK))
        self._out.close()

    def _add(self, name: str, data: bytes) -> None:
        self._hashes[name] = sha256(data)
        self._write(name, data)

    def _write(self, name: str, data: bytes) -> None:
        header = tarfile.TarInfo(name)
        header.size = len(data)
        self._out.write(header.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % _BLOCK))


def read_archive(file: IO[bytes]) -> Iterator[dict[str, bytes]]:
    """The parts of each batch by name, once their hashes were found right; after the last, that it was the last.

    Raises ArchiveError for anything that :class:`ArchiveWriter` did not write.
    """
    parts: dict[str, bytes] = {}
    previous, batches, ended = "", 0, False
    for name, data in _parts(file):
        if ended:
            raise ArchiveError(f"expected nothing after end.json, got {name}")
        if name == "end.json":
            ended = not parts and _object(name, data) == {"batches": batches, "last": previous}
            if not ended:
                raise ArchiveError(f"expected the end of an archive of {batches} batches, got another's")
        elif name.startswith("manifests/"):
            hashes = {one: sha256(part) for one, part in parts.items()}
            if _object(name, data) != {"parts": hashes, "previous": previous}:
                raise ArchiveError(
                    f"expected what {name} names, got something else: the archive was damaged or changed"
                )
            yield parts
            parts, previous, batches = {}, sha256(data), batches + 1
        else:
            parts[name] = data
            if sum(map(len, parts.values())) > _MOST_BATCH_BYTES:
                raise ArchiveError(f"expected batches of at most {_MOST_BATCH_BYTES} bytes, got more at {name}")
    if not ended:
        raise ArchiveError("expected a whole archive, got one without its end")


def json_object(parts: dict[str, bytes], folder: str) -> dict[str, Any]:
    """The one JSON part of that folder; raises ArchiveError where there is none."""
    found = [name for name in parts if name.startswith(folder)]
    if len(found) != 1:
        raise ArchiveError(f"expected one part {folder}…, got {len(found)}")
    return _object(found[0], parts[found[0]])


def _parts(file: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    stream = _Stream(file)
    while (block := stream.read(_BLOCK)) != bytes(_BLOCK):
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError) as error:
            raise ArchiveError(f"expected the header of a part, got {error}") from error
        if not header.isreg():
            raise ArchiveError(f"expected files only, got a link, folder or device: {header.name[:100]!r}")
        if not _PART.fullmatch(header.name):
            raise ArchiveError(f"expected the parts of an archive, got {header.name[:100]!r}")
        if not 0 <= header.size <= _MOST_PART_BYTES:
            raise ArchiveError(f"expected at most {_MOST_PART_BYTES} bytes in {header.name}, got {header.size}")
        data = stream.read(header.size)
        stream.read(-header.size % _BLOCK)
        yield header.name, data
    if stream.read(_BLOCK) != bytes(_BLOCK):
        raise ArchiveError("expected two empty blocks at the end, got one")


class _Stream:
    """Decompressed bytes, as many as are asked for, of a file that may be hostile."""

    def __init__(self, file: IO[bytes]) -> None:
        self._packed = _Counted(file)
        options = {zstd.DecompressionParameter.window_log_max.value: _LARGEST_WINDOW}
        self._unpacked = zstd.ZstdFile(self._packed, "r", options=options)
        self._given = 0

    def read(self, size: int) -> bytes:
        try:
            data: bytes = self._unpacked.read(size)
        except (zstd.ZstdError, EOFError) as error:
            raise ArchiveError(f"expected a whole zstd archive, got: {error}") from error
        if len(data) != size:
            raise ArchiveError(f"expected a whole archive, got {len(data)} bytes where {size} were to come")
        self._given += size
        if self._given > max(_RATIO_COUNTS_FROM_BYTES, _MOST_RATIO * self._packed.given):
            raise ArchiveError(
                f"expected crops and vectors, got what unpacks to more than {_MOST_RATIO} times its size"
            )
        return data


class _Counted(io.RawIOBase):
    """A file that counts what was read. Closing it leaves the file open: that is its owner's."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self.given = 0

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self.given += len(data)
        return data


def _object(name: str, data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(f"expected JSON in {name}, got something else") from error
    if not isinstance(value, dict):
        raise ArchiveError(f"expected a JSON object in {name}, got a {type(value).__name__}")
    return value


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
