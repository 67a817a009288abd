"""Market-1501's metrics from embeddings of its size, against a loop that sorts every query's row."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Row, compare, main
from reid import threads
from reid.evaluation.labels import PeopleLabels
from reid.evaluation.retrieval import average_precision, evaluate_retrieval

_QUERIES, _GALLERY, _DIMENSION, _PEOPLE = 3_368, 15_913, 256, 750


def rows() -> Iterator[Row]:
    """Both ways give the same mAP on the same vectors, checked before the clock starts."""
    query, query_labels = _people(_QUERIES, seed=0)
    gallery, gallery_labels = _people(_GALLERY, seed=1)

    def ours() -> float:
        return evaluate_retrieval(query, gallery, query_labels, gallery_labels).mean_ap

    def peer() -> float:
        return _argsort_mean_ap(query, gallery, query_labels, gallery_labels)

    assert abs(ours() - peer()) < 1e-6
    yield compare(
        "evaluation Market-1501 vs per-query argsort", ours, peer, peer_name="NumPy argsort per query", pairs=3
    )


def _people(count: int, seed: int) -> tuple[NDArray[np.float32], PeopleLabels]:
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(2).normal(size=(_PEOPLE + 1, _DIMENSION))
    pids = generator.integers(0 if seed else 1, _PEOPLE + 1, count)
    vectors = (centres[pids] + 1.5 * generator.normal(size=(count, _DIMENSION))).astype(np.float32)
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit, PeopleLabels(pids, generator.integers(1, 7, count))


def _argsort_mean_ap(
    query: NDArray[np.float32], gallery: NDArray[np.float32], q: PeopleLabels, g: PeopleLabels
) -> float:
    """The field's common loop: one product, one sort and one walk a query."""
    precisions = []
    for vector, pid, camid in zip(query, q.pids, q.camids, strict=True):
        order = np.argsort(-(gallery @ vector), kind="stable")
        order = order[(g.pids[order] != pid) | (g.camids[order] != camid)]
        hits = np.flatnonzero(g.pids[order] == pid)
        if len(hits):
            precisions.append(average_precision(hits)[0])
    return float(np.mean(precisions))


if __name__ == "__main__":
    threads.configure()
    main("evaluation", rows)
