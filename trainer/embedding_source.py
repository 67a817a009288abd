"""Embeddings of a split's crops, from a bundle that makes them now or from a file that holds them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid.datasets.split import Split
from reid.errors import DatasetError
from reid.predictors import Embedder
from trainer.embedding_file import read_embeddings
from trainer.evaluation import embed_files


def embeddings_from(source: str, split: Split, device: str) -> NDArray[np.float32]:
    """(N, D) float32 rows in the split's order; `source` is a `.npz` that `embed` wrote, a bundle's folder or name.

    Raises :class:`DatasetError` when the file is not such a file or lacks a crop, and what loading a bundle raises.
    """
    if source.endswith(".npz"):
        return _stored(Path(source), split)
    return embed_files(Embedder.load(source, device), split.paths, source)


def _stored(file: Path, split: Split) -> NDArray[np.float32]:
    names, rows = read_embeddings(file)
    row_of = {name: row for row, name in enumerate(names)}
    wanted = [split.name_of(row) for row in range(len(split.paths))]
    if missing := [name for name in wanted if name not in row_of]:
        raise DatasetError(
            f"{file}: {len(missing)} of {len(wanted)} crops have no embedding, such as {missing[0]}; "
            "expected paths told from the dataset's folder"
        )
    found: NDArray[np.float32] = rows[[row_of[name] for name in wanted]]
    return found
