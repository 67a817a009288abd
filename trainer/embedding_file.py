"""One file of embeddings: written of a folder of images, and read."""

import os
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid.errors import DatasetError
from reid.predictors import Embedder
from trainer.evaluation import embed_files

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def embed_folder(embedder: Embedder, folder: Path, out: Path) -> int:
    """Embed every image below `folder` and write `out` (.npz), whole or not at all; return how many.

    The file holds `path` (N,) relative to the folder, sorted, and `embedding` (N, D) float32 unit rows. Raises
    :class:`DatasetError` when the folder has no images or one does not decode, ``ValueError`` for another suffix.
    """
    if out.suffix != ".npz":
        raise ValueError(f"expected an output file that ends in .npz, got {out.name!r}")
    if not out.parent.is_dir():
        raise ValueError(f"expected a folder to write to, got {str(out.parent)!r}, which is none")
    images = (path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    paths = sorted(images, key=lambda path: path.relative_to(folder).as_posix())
    if not paths:
        raise DatasetError(f"{folder}: expected images ({', '.join(_SUFFIXES)}), got none")
    names = np.array([path.relative_to(folder).as_posix() for path in paths])
    embedding = embed_files(embedder, paths, folder.name)
    temporary = out.with_name(out.name + ".new")
    with temporary.open("wb") as file:
        np.savez(file, path=names, embedding=embedding)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(out)
    return len(paths)


def read_embeddings(file: Path) -> tuple[list[str], NDArray[np.float32]]:
    """Paths, each once, and their (N, D) rows, as :func:`embed_folder` wrote them.

    Raises :class:`DatasetError` when the file is not such a file.
    """
    try:
        with np.load(file) as arrays:
            names, rows = np.atleast_1d(arrays["path"]).tolist(), arrays["embedding"].astype(np.float32)
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{file}: expected a .npz with `path` and `embedding`: {error}") from error
    if rows.ndim != 2 or len(names) != len(rows):
        raise DatasetError(f"{file}: expected embeddings ({len(names)}, D), one per path, got {rows.shape}")
    if len(set(names)) != len(names):
        raise DatasetError(f"{file}: expected each path once, got {len(names) - len(set(names))} twice")
    return names, rows
