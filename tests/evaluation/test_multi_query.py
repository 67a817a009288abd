import numpy as np
import pytest

from reid.evaluation.multi_query import Pooling, pool_queries
from tests.evaluation.people import labels


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [(Pooling.MEAN, [0.8, 0.6]), (Pooling.MAX, [1 / np.hypot(1, 0.96), 0.96 / np.hypot(1, 0.96)])],
)
def test_one_row_per_person_and_camera(pooling: Pooling, expected: list[float]) -> None:
    rows = np.array([[1, 0], [0, 1], [0.28, 0.96], [0, 1]], dtype=np.float32)
    pooled, who = pool_queries(rows, labels([5, 2, 5, 5], [1, 1, 1, 2]), pooling)
    assert (who.pids.tolist(), who.camids.tolist()) == ([2, 5, 5], [1, 1, 2])
    assert pooled[1] == pytest.approx(expected)
    assert pooled[[0, 2]].tolist() == [[0, 1], [0, 1]]


def test_opposite_vectors_have_no_mean() -> None:
    rows = np.array([[1, 0], [-1, 0]], dtype=np.float32)
    with pytest.raises(ValueError, match="pool to a direction, got zero for person 3"):
        pool_queries(rows, labels([3, 3], [1, 1]), Pooling.MEAN)
