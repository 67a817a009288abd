"""A manifest of clips: what each file is, and whether it can be used; a set that was looked through before training."""

import csv
import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from reid.clips import ClipDecoder, Sampling
from reid.clips.sampling import Policy
from reid.errors import ClipError, DatasetError
from reid.threads import available_processors

OK = "ok"


@dataclass(frozen=True)
class ListedClip:
    """One file: `verdict` is `ok`, or says why it is left out; what could not be told is 0 or empty."""

    path: str
    label: str
    sha256: str = ""
    frames: int = 0
    fps: float = 0.0
    codec: str = ""
    verdict: str = OK


def examine(files: Sequence[Path]) -> Iterator[ListedClip]:
    """Decode every file to its end, by all processors; in order.

    Left out are files that do not decode, and copies: the same bytes as a file before, whatever their labels.
    """
    first_of: dict[str, str] = {}
    decoder, pool = ClipDecoder(16, 16, Sampling(Policy.UNIFORM, 1)), ThreadPoolExecutor(available_processors())
    with closing(decoder), pool:
        for clip in pool.map(lambda file: _examined(decoder, file), files):
            first = first_of.setdefault(clip.sha256, clip.path)
            copied = clip.verdict == OK and first != clip.path
            yield replace(clip, verdict=f"the same bytes as {first}") if copied else clip


def write_manifest(file: Path, clips: Sequence[ListedClip]) -> None:
    """Write a CSV, a row a file; paths are told from the manifest's own folder."""
    with file.open("w", newline="") as opened:
        table = csv.DictWriter(opened, [field.name for field in fields(ListedClip)])
        table.writeheader()
        for clip in clips:
            table.writerow(asdict(clip) | {"path": _told_from(file.parent, Path(clip.path))})


def _told_from(folder: Path, clip: Path) -> str:
    """Below the folder by the names that were given, links among them; elsewhere by where it really lies."""
    if clip.absolute().is_relative_to(folder.absolute()):
        return clip.absolute().relative_to(folder.absolute()).as_posix()
    return os.path.relpath(clip.resolve(), folder.resolve())


def read_manifest(file: Path) -> list[tuple[Path, str]]:
    """The clips that are not left out, (path, label), by path. Raises :class:`DatasetError` for another file."""
    try:
        with file.open(newline="") as opened:
            table = csv.DictReader(opened)
            if missing := {"path", "label", "verdict"} - set(table.fieldnames or ()):
                raise DatasetError(f"{file}: expected what `reid-trainer validate` writes, it lacks {sorted(missing)}")
            return sorted((file.parent / row["path"], row["label"]) for row in table if row["verdict"] == OK)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{file}: expected what `reid-trainer validate` writes: {error}") from error


def _examined(decoder: ClipDecoder, file: Path) -> ListedClip:
    clip = ListedClip(str(file), file.parent.name)
    try:
        data = file.read_bytes()
        clip = replace(clip, sha256=hashlib.sha256(data).hexdigest())
        seen = decoder.decode(data)
    except (ClipError, OSError) as error:
        return replace(clip, verdict=" ".join(str(error).split()))
    return replace(clip, frames=seen.num_frames, fps=round(seen.fps, 3), codec=seen.codec)
