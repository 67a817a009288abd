"""Images with labels: a folder per label, a CSV, or the CMU faces; each perhaps with whom or what it belongs to."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid.errors import DatasetError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".pgm")
_COLUMNS = {"path", "label"}
_FACE_FIELDS = 5


@dataclass(frozen=True)
class LabelledFiles:
    """N files sorted by path, their labels (N,) as places in `label_names`, and their groups (N,) where known.

    Images of one group (a person, a recording) must not fall on both sides of a split.
    """

    paths: tuple[Path, ...]
    labels: NDArray[np.int64]
    label_names: tuple[str, ...]
    groups: NDArray[np.int64] | None

    def chosen(self, rows: NDArray[np.int64]) -> "LabelledFiles":
        """The images at these row numbers; the labels keep their places."""
        groups = None if self.groups is None else self.groups[rows]
        return LabelledFiles(tuple(self.paths[row] for row in rows), self.labels[rows], self.label_names, groups)


def read_classes(data: Path) -> LabelledFiles:
    """Read a folder per label (`LABEL/any.jpg`), a `.csv` (`path`, `label`, perhaps `group`), or the CMU faces.

    The faces are a folder per *person* of `PERSON_direction_mood_eyes_4.pgm`: the eyes are the label and the person
    the group. Raises :class:`DatasetError` that names what does not fit: no images, one label only, an empty folder.
    """
    if data.suffix.lower() == ".csv":
        rows = _read_table(data)
    elif data.is_dir():
        rows = _read_faces(data) if any(data.glob("*/*_4.pgm")) else _read_folders(data)
    else:
        raise DatasetError(f"expected a folder per label or a .csv table, got {data}")
    return _numbered(data, rows)


@dataclass(frozen=True)
class _Row:
    path: Path
    label: str
    group: str | None


def _numbered(data: Path, rows: Sequence[_Row]) -> LabelledFiles:
    rows = sorted(rows, key=lambda row: row.path)
    names = tuple(sorted({row.label for row in rows}))
    if len(names) < 2:
        raise DatasetError(f"{data}: expected images of at least 2 labels, got {len(rows)} images of {list(names)}")
    labels = np.array([names.index(row.label) for row in rows], dtype=np.int64)
    return LabelledFiles(tuple(row.path for row in rows), labels, names, _groups(data, rows))


def _groups(data: Path, rows: Sequence[_Row]) -> NDArray[np.int64] | None:
    known = sorted({row.group for row in rows if row.group is not None})
    if not known:
        return None
    if missing := [row.path for row in rows if row.group is None]:
        raise DatasetError(f"{data}: expected a group for every image or for none, got none for {missing[0]}")
    numbers = {group: number for number, group in enumerate(known)}
    return np.array([numbers[row.group] for row in rows if row.group is not None], dtype=np.int64)


def _read_folders(root: Path) -> list[_Row]:
    rows = []
    for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
        files = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
        if not files:
            raise DatasetError(f"{folder}: expected images of the label {folder.name!r}, got an empty folder")
        if odd := [path for path in files if path.suffix.lower() not in SUFFIXES]:
            raise DatasetError(f"{odd[0]}: expected an image ({', '.join(SUFFIXES)})")
        rows += [_Row(path, folder.name, None) for path in files]
    return rows


def _read_faces(root: Path) -> list[_Row]:
    rows = []
    for path in sorted(root.glob("*/*_4.pgm")):
        fields = path.stem.split("_")
        if len(fields) != _FACE_FIELDS or fields[0] != path.parent.name:
            raise DatasetError(f"{path}: expected a name like {path.parent.name}_left_angry_open_4.pgm")
        rows.append(_Row(path, fields[3], fields[0]))
    return rows


def _read_table(file: Path) -> list[_Row]:
    """Paths are taken from the table's own folder."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            table = csv.DictReader(opened)
            if missing := _COLUMNS - set(table.fieldnames or ()):
                raise DatasetError(f"{file}: expected the columns path and label, got none of {sorted(missing)}")
            return [_table_row(file, number, fields) for number, fields in enumerate(table, start=2)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{file}: expected a UTF-8 CSV table: {error}") from error


def _table_row(file: Path, number: int, fields: dict[str, str]) -> _Row:
    if not fields["path"] or not fields["label"]:
        raise DatasetError(
            f"{file}, line {number}: expected a path and a label, got {fields['path']!r}, {fields['label']!r}"
        )
    return _Row(file.parent / fields["path"], fields["label"], fields.get("group") or None)
