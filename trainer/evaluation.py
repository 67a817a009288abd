"""A bundle judged on labelled crops: embed every crop, then rank. What is evaluated is what is served."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.datasets.split import Split
from reid.evaluation.bootstrap import mean_interval
from reid.evaluation.calibration import Calibration, calibration_of
from reid.evaluation.labels import PeopleLabels
from reid.evaluation.multi_query import pool_queries
from reid.evaluation.open_set import Roc, top_scores, verification_roc
from reid.evaluation.reranking import rerank
from reid.evaluation.retrieval import RetrievalResult, evaluate_retrieval, evaluate_scores
from reid.evaluation.score_histogram import ScoreHistogram, score_histograms
from reid.predictors import Embedder
from trainer.pixels import batches, read_crops
from trainer.progress import mapped
from trainer.protocol import Protocol

_BATCH = 32
_FALSE_MATCH_RATE = 1e-3
_FALSE_ALARM_RATE = 0.01


@dataclass(frozen=True)
class Evaluation:
    """Embeddings of both parts, (Q, D) and (G, D), their labels, the result, and what it took."""

    split: Split
    protocol: Protocol
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
            "mean_inp": self.result.mean_inp,
            "num_queries": self.result.num_queries,
            "num_valid_queries": self.result.num_valid_queries,
            "num_gallery": self.result.num_gallery,
            "protocol": self.protocol.name(self.split),
            "domain": self.split.domain,
        }

    def more_figures(self) -> dict[str, Any]:
        """What the data are, 95 % intervals over people, and open-set rates. They take a further pass or two.

        Raises ``ValueError`` with fewer than 2 people that have a true match.
        """
        roc = verification_roc(self.histogram)
        return {
            "rank_1_interval": self._interval(self.result.found_within(1)),
            "mean_ap_interval": self._interval(self.result.ap_step),
            "equal_error_rate": roc.equal_error_rate,
            "true_match_rate_at_1e-3": self._true_match_rate(roc),
            "identification_rate_at_1e-2": self._identification_rate(),
            **self.split.counts(),
        }

    def calibration(self, domain: str) -> Calibration:
        """What the scores mean on this dataset."""
        return calibration_of(self.histogram, domain)

    @property
    def histogram(self) -> ScoreHistogram:
        """Scores of all pairs."""
        return ScoreHistogram.total(self.histograms.values())

    @cached_property
    def histograms(self) -> Mapping[tuple[int, int], ScoreHistogram]:
        """Scores of all pairs by (query camid, gallery camid)."""
        return score_histograms(
            self.query, self.gallery, self.query_labels, self.gallery_labels, exclude=self.protocol.exclude
        )

    def _true_match_rate(self, roc: Roc) -> float | None:
        """At one false match in a thousand comparisons; None with fewer comparisons than that."""
        enough = self.histogram.impostor.sum() >= 1 / _FALSE_MATCH_RATE
        return roc.true_match_rate_at(_FALSE_MATCH_RATE) if enough else None

    def _identification_rate(self) -> float | None:
        """At one false alarm in a hundred searches; None with fewer searches than that, which cannot tell."""
        if len(self.query) < 1 / _FALSE_ALARM_RATE:
            return None
        top = top_scores(
            self.query, self.gallery, self.query_labels, self.gallery_labels, exclude=self.protocol.exclude
        )
        return top.identification_rate(_FALSE_ALARM_RATE)

    def _interval(self, values: NDArray[np.float64]) -> list[float]:
        interval = mean_interval(values, self.query_labels.pids)
        return [interval.low, interval.high]


def evaluate_split(embedder: Embedder, split: Split, protocol: Protocol) -> Evaluation:
    """Embed a split's crops and score them. Raises :class:`~reid.errors.DatasetError` and what the protocol refuses."""
    protocol.check(split)
    started = time.perf_counter()
    embeddings = embed_files(embedder, split.paths, split.domain)
    speed = len(embeddings) / (time.perf_counter() - started)
    return evaluate_embeddings(embeddings, split, protocol, images_per_second=speed)


def evaluate_embeddings(
    embeddings: NDArray[np.float32], split: Split, protocol: Protocol, *, images_per_second: float
) -> Evaluation:
    """Score (N, D) unit rows, one for each crop of the split. Raises what the protocol and the metrics refuse."""
    protocol.check(split)
    query, query_labels = embeddings[split.query], split.labels[split.query]
    gallery, gallery_labels = embeddings[split.gallery], split.labels[split.gallery]
    started = time.perf_counter()
    if protocol.pooling:
        query, query_labels = pool_queries(query, query_labels, protocol.pooling)
    if protocol.rerank:
        # Junk takes no part: as a neighbour it would change the sets of others.
        kept = gallery_labels.without_junk()
        gallery, gallery_labels = gallery[kept], gallery_labels[kept]
        scores = np.negative(rerank(query, gallery))
        result = evaluate_scores(scores, query_labels, gallery_labels, exclude=protocol.exclude)
    else:
        result = evaluate_retrieval(query, gallery, query_labels, gallery_labels, exclude=protocol.exclude)
    return Evaluation(
        split,
        protocol,
        query,
        gallery,
        query_labels,
        gallery_labels,
        result,
        images_per_second=images_per_second,
        metric_seconds=time.perf_counter() - started,
    )


def embed_files(embedder: Embedder, paths: Sequence[Path], description: str) -> NDArray[np.float32]:
    """Embed image files in order, with a progress bar: (N, D) float32 unit rows; few images are held at a time."""
    images = batches(read_crops(paths), _BATCH)
    return np.concatenate(mapped(embedder.embed, images, -(-len(paths) // _BATCH), f"embedding {description}"))
