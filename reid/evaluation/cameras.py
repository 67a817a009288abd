"""The same metrics for each pair of cameras: which camera loses people to which."""

import numpy as np
from numpy.typing import NDArray

from reid.evaluation.labels import Exclude, PeopleLabels, same_person_pairs
from reid.evaluation.retrieval import RetrievalResult, rank_hits
from reid.evaluation.scores import check_pair, score_blocks


def evaluate_camera_pairs(
    query: NDArray[np.float32],
    gallery: NDArray[np.float32],
    query_labels: PeopleLabels,
    gallery_labels: PeopleLabels,
    *,
    exclude: Exclude = Exclude.SAME_CAMERA,
) -> dict[tuple[int, int], RetrievalResult]:
    """Queries of one camera against the crops of one camera alone, by (query camid, gallery camid).

    A smaller gallery is an easier one: compare these figures with each other, not with the whole gallery's. A pair of
    cameras without a valid query is absent. Raises what :func:`~reid.evaluation.retrieval.evaluate_retrieval` does.
    """
    check_pair(query, gallery, query_labels, gallery_labels)
    kept = gallery_labels.without_junk()
    results = {}
    for gallery_camid in np.unique(gallery_labels.camids[kept]).tolist():
        theirs = kept & (gallery_labels.camids == gallery_camid)
        for query_camid in np.unique(query_labels.camids).tolist():
            ours = query_labels.camids == query_camid
            pairs = same_person_pairs(query_labels[ours], gallery_labels[theirs], exclude)
            if not pairs.excluded.all():
                blocks = score_blocks(query[ours], gallery[theirs])
                results[query_camid, gallery_camid] = rank_hits(blocks, pairs, int(theirs.sum()))
    if not results:
        raise ValueError("expected a pair of cameras with a valid query, got none")
    return dict(sorted(results.items()))
