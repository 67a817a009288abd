"""A bundle judged on a dataset: embed every crop, then rank. What is evaluated is what is served."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from reid.datasets.market1501 import Market1501, labels_of
from reid.evaluation.calibration import Calibration, calibrate
from reid.evaluation.labels import PeopleLabels
from reid.evaluation.retrieval import PROTOCOL, RetrievalResult, evaluate_retrieval
from reid.predictors import Embedder
from trainer.pixels import read_crops

_CHUNK = 512


@dataclass(frozen=True)
class Evaluation:
    """Embeddings of both parts, (Q, D) and (G, D), their labels, the result, and what it took."""

    query: NDArray[np.float32]
    gallery: NDArray[np.float32]
    query_labels: PeopleLabels
    gallery_labels: PeopleLabels
    result: RetrievalResult
    images_per_second: float
    metric_seconds: float

    def figures(self) -> dict[str, Any]:
        """The figures under the names that `evaluate --json` and a bundle's card use."""
        return {
            "rank_1": self.result.rank(1),
            "rank_5": self.result.rank(5),
            "rank_10": self.result.rank(10),
            "mean_ap": self.result.mean_ap,
            "mean_ap_trapezoid": self.result.mean_ap_trapezoid,
            "num_queries": self.result.num_queries,
            "num_valid_queries": self.result.num_valid_queries,
            "num_gallery": self.result.num_gallery,
            "protocol": PROTOCOL,
        }

    def calibration(self, domain: str) -> Calibration:
        """What the scores mean on this dataset."""
        return calibrate(self.query, self.gallery, self.query_labels, self.gallery_labels, domain=domain)


def evaluate_dataset(embedder: Embedder, dataset: Market1501) -> Evaluation:
    """Embed query and gallery with `embedder` and score them. Raises :class:`~reid.errors.DatasetError`."""
    started = time.perf_counter()
    query = embed_files(embedder, [crop.path for crop in dataset.query], "query")
    gallery = embed_files(embedder, [crop.path for crop in dataset.gallery], "gallery")
    embedded = time.perf_counter()
    query_labels, gallery_labels = labels_of(dataset.query), labels_of(dataset.gallery)
    result = evaluate_retrieval(query, gallery, query_labels, gallery_labels)
    return Evaluation(
        query,
        gallery,
        query_labels,
        gallery_labels,
        result,
        images_per_second=(len(query) + len(gallery)) / (embedded - started),
        metric_seconds=time.perf_counter() - embedded,
    )


def embed_files(embedder: Embedder, paths: Sequence[Path], description: str) -> NDArray[np.float32]:
    """Embed image files in order, with a progress bar: (N, D) float32 unit rows, in memory bounded by N × D."""
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    return np.concatenate(
        [embedder.embed(list(read_crops(chunk))) for chunk in track(chunks, description=f"embedding {description}")]
    )
