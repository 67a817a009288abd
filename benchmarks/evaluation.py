"""Market-1501's metrics from embeddings of its size, against the two evaluations that most papers used."""

from collections.abc import Iterator

from reid import threads

threads.configure()

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.harness import Row, compare, main
from benchmarks.market_size import QUERIES, query_and_gallery, without_junk
from benchmarks.torchreid_package import VERSION, installed_torchreid, load
from reid.evaluation.labels import PeopleLabels
from reid.evaluation.retrieval import RetrievalResult, average_precision, evaluate_retrieval

_CHECKED = 50


def rows() -> Iterator[Row]:
    """All ways start from the same vectors and must give the same mAP; that is checked before the clock starts."""
    query, gallery, q, g = query_and_gallery()

    def ours() -> RetrievalResult:
        return evaluate_retrieval(query, gallery, q, g)

    def argsort() -> float:
        return _argsort_mean_ap(query, gallery, q, g)

    assert abs(ours().mean_ap_trapezoid - argsort()) < 1e-5
    yield compare(
        "evaluation Market-1501 vs per-query argsort",
        ours,
        argsort,
        peer_name="a loop that sorts each query's row, as Person_reID_baseline_pytorch does",
        pairs=3,
    )
    kept, kept_labels = without_junk(gallery, g)
    with installed_torchreid() as package:
        rank = load(package / "metrics" / "rank.py")
        distance = load(package / "metrics" / "distance.py")

        def torchreid(count: int = QUERIES) -> float:
            matrix = distance.compute_distance_matrix(torch.from_numpy(query[:count]), torch.from_numpy(kept)).numpy()
            asked = q[:count]
            labels = (asked.pids, kept_labels.pids, asked.camids, kept_labels.camids)
            return float(rank.evaluate_rank(matrix, *labels)[1])

        assert abs(np.nanmean(ours().ap_step[:_CHECKED]) - torchreid(_CHECKED)) < 1e-5
        yield compare(
            "evaluation Market-1501 vs torchreid",
            ours,
            torchreid,
            peer_name=f"torchreid {VERSION} as pip installs it (no compiled ranking)",
            pairs=1,  # minutes each
        )


def _argsort_mean_ap(
    query: NDArray[np.float32], gallery: NDArray[np.float32], q: PeopleLabels, g: PeopleLabels
) -> float:
    """One product, one sort and several set operations a query: the steps of layumi's evaluation, trapezoid mAP."""
    features = torch.from_numpy(gallery)
    precisions = []
    for vector, pid, camid in zip(torch.from_numpy(query), q.pids, q.camids, strict=True):
        order = np.argsort(torch.mm(features, vector.view(-1, 1)).squeeze(1).numpy())[::-1]
        same_person, same_camera = np.argwhere(g.pids == pid), np.argwhere(g.camids == camid)
        good = np.setdiff1d(same_person, same_camera, assume_unique=True)
        junk = np.append(np.intersect1d(same_person, same_camera), np.argwhere(g.pids == -1))
        if len(good):
            order = order[np.isin(order, junk, invert=True)]
            hits = np.argwhere(np.isin(order, good)).flatten()
            precisions.append(average_precision(hits)[1])
    return float(np.mean(precisions))


if __name__ == "__main__":
    main("evaluation", rows)
