import numpy as np
import pytest

from reid.errors import VectorError
from reid.evaluation.labels import Exclude, PeopleLabels
from reid.evaluation.score_histogram import ScoreHistogram, score_histograms
from tests.evaluation.oracle import is_excluded
from tests.evaluation.people import crowd, labels


@pytest.mark.parametrize("exclude", Exclude)
def test_every_pair_is_counted_once_by_its_cameras(exclude: Exclude, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reid.evaluation.scores._BLOCK_BYTES", 2_000)
    rows, people = crowd(4, 120, people=8, cameras=3)
    people = PeopleLabels(
        np.where(np.arange(120) >= 100, np.arange(120) % 2 - 1, people.pids), people.camids, np.arange(120) % 2
    )
    q, g = people[:40], people[40:]
    histograms = score_histograms(rows[:40], rows[40:], q, g, exclude=exclude)
    expected = {cameras: ([], []) for cameras in histograms}
    scores = rows[:40] @ rows[40:].T
    for i in range(40):
        for j in range(80):
            if g.pids[j] == -1 or is_excluded(q, i, g, j, exclude):
                continue
            kind = 0 if q.pids[i] == g.pids[j] else 1
            expected[int(q.camids[i]), int(g.camids[j])][kind].append(scores[i, j])
    edges = np.linspace(-1, 1, 2001)
    for cameras, (genuine, impostor) in expected.items():
        assert histograms[cameras].genuine.sum() == len(genuine)
        assert histograms[cameras].impostor.sum() == len(impostor)
        # A score within a rounding of an edge may fall to either side.
        assert np.abs(np.histogram(impostor, edges)[0] - histograms[cameras].impostor).sum() <= 2
        assert np.abs(np.histogram(genuine, edges)[0] - histograms[cameras].genuine).sum() <= 2


def test_the_ends_of_the_scale_have_bins() -> None:
    rows = np.array([[1, 0], [-1, 0], [1, 0]], dtype=np.float32)
    total = ScoreHistogram.total(
        score_histograms(rows[:1], rows[1:], labels([1], [1]), labels([2, 1], [1, 2])).values()
    )
    assert (total.impostor[0], total.genuine[-1]) == (1, 1)
    assert total.scores[[0, -1]] == pytest.approx([-1.0, 0.999])


def test_nan_is_refused_before_it_is_counted() -> None:
    with pytest.raises(VectorError, match="gallery rows of unit length, but row 0 has length nan"):
        score_histograms(
            np.eye(1, dtype=np.float32), np.full((1, 1), np.nan, np.float32), labels([1], [1]), labels([1], [2])
        )
