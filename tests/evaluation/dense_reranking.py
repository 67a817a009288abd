"""k-reciprocal re-ranking as the paper writes it: sets in Python, vectors over all N points."""

import numpy as np
from numpy.typing import NDArray


def dense_rerank(
    query: NDArray[np.float32], gallery: NDArray[np.float32], k1: int, k2: int, weight: float
) -> NDArray[np.float64]:
    """(Q, G) distances; section and equation numbers are those of Zhong et al. 2017."""
    points = np.concatenate([query, gallery]).astype(np.float64)
    num = len(points)
    distance = 2 - 2 * points @ points.T
    distance /= np.maximum(distance.max(axis=1, keepdims=True), 1e-30)
    order = np.argsort(-(points @ points.T), axis=1, kind="stable")

    def nearest(p: int, k: int) -> set[int]:  # N(p, k), eq. 1; the code counts the point itself as one more
        return set(order[p, : k + 1].tolist())

    def reciprocal(p: int, k: int) -> set[int]:  # R(p, k), eq. 2
        return {g for g in nearest(p, k) if p in nearest(g, k)}

    encoded = np.zeros((num, num))
    for p in range(num):
        own = reciprocal(p, k1)
        expanded = set(own)
        for q in own:  # eq. 3
            theirs = reciprocal(q, int(np.around(k1 / 2)))
            if len(own & theirs) > 2 / 3 * len(theirs):
                expanded |= theirs
        members = sorted(expanded)
        weights = np.exp(-distance[p, members])  # eq. 7, normalised as in the authors' code
        encoded[p, members] = weights / weights.sum()
    if k2 > 1:  # eq. 11; with 1 the code leaves each point its own set, also where a copy is ranked before it
        encoded = np.stack([encoded[order[p, :k2]].mean(axis=0) for p in range(num)])
    final = np.empty((len(query), len(gallery)))
    for i in range(len(query)):
        for j in range(len(gallery)):
            least = np.minimum(encoded[i], encoded[len(query) + j]).sum()
            # The sum of the greater ones, since each set adds up to 1 (and as the authors' code has it).
            most = 2 - least
            final[i, j] = (1 - weight) * (1 - least / most) + weight * distance[i, len(query) + j]  # eq. 10, 12
    return final
