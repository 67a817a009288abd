"""Retrieval metrics over embeddings that come in batches or from several workers."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from reid.errors import VectorError
from reid.evaluation.labels import Exclude, PeopleLabels
from reid.evaluation.retrieval import RetrievalResult, evaluate_retrieval
from reid.evaluation.scores import check_vectors

_Rows = list[tuple[NDArray[np.float32], PeopleLabels]]


class RetrievalMetric:
    """Collects queries and gallery crops of one bundle: `update` with each batch, `merge` workers, `compute`.

    Ties in score break by gallery position, which is the order of updates and then of merges.

    >>> eye = np.eye(2, dtype=np.float32)
    >>> first, second = RetrievalMetric("a bundle's id"), RetrievalMetric("a bundle's id")
    >>> first.update_queries(eye[:1], PeopleLabels(np.array([1]), np.array([1])))
    >>> second.update_gallery(eye, PeopleLabels(np.array([1, 2]), np.array([2, 2])))
    >>> first.merge(second).compute().rank(1)
    1.0
    """

    def __init__(self, bundle_id: str, *, exclude: Exclude = Exclude.SAME_CAMERA) -> None:
        self.bundle_id = bundle_id
        self._exclude = exclude
        self._queries: _Rows = []
        self._gallery: _Rows = []

    def update_queries(self, vectors: NDArray[np.float32], labels: PeopleLabels) -> None:
        """Add (B, D) unit rows that ask. Raises as :func:`~reid.evaluation.scores.check_vectors`."""
        check_vectors(vectors, labels, "query")
        self._queries.append((vectors, labels))

    def update_gallery(self, vectors: NDArray[np.float32], labels: PeopleLabels) -> None:
        """Add (B, D) unit rows that are searched. Raises as :func:`~reid.evaluation.scores.check_vectors`."""
        check_vectors(vectors, labels, "gallery")
        self._gallery.append((vectors, labels))

    def merge(self, other: Self) -> Self:
        """Take over what another metric collected. Raises :class:`VectorError` when it is of another bundle."""
        if other.bundle_id != self.bundle_id:
            raise VectorError(f"expected vectors of bundle {self.bundle_id}, got some of {other.bundle_id}")
        self._queries += other._queries
        self._gallery += other._gallery
        return self

    def compute(self) -> RetrievalResult:
        """Rank all that came. Raises ``ValueError`` without queries or gallery, and when no query has a match."""
        if not self._queries or not self._gallery:
            raise ValueError(
                f"expected queries and a gallery, got {len(self._queries)} and {len(self._gallery)} updates of them"
            )
        query, query_labels = _joined(self._queries)
        gallery, gallery_labels = _joined(self._gallery)
        return evaluate_retrieval(query, gallery, query_labels, gallery_labels, exclude=self._exclude)


def _joined(rows: _Rows) -> tuple[NDArray[np.float32], PeopleLabels]:
    labels = [label for _, label in rows]
    runs = [label.tracklets for label in labels if label.tracklets is not None]
    if runs and len(runs) != len(labels):
        raise ValueError(f"expected tracklets in all updates or in none, got them in {len(runs)} of {len(labels)}")
    return np.concatenate([vectors for vectors, _ in rows]), PeopleLabels(
        np.concatenate([label.pids for label in labels]),
        np.concatenate([label.camids for label in labels]),
        np.concatenate(runs) if runs else None,
    )
