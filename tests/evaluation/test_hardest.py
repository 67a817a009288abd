import numpy as np

from reid.evaluation.hardest import hardest_queries
from reid.evaluation.retrieval import evaluate_retrieval
from tests.evaluation.people import crowd, labels


def test_the_worst_query_of_each_of_the_worst_people() -> None:
    rows, people = crowd(12, 200, people=20, noise=1.5)
    query, gallery, q, g = rows[:60], rows[60:], people[:60], people[60:]
    result = evaluate_retrieval(query, gallery, q, g)
    hardest = hardest_queries(query, gallery, q, g, result, count=5)
    worst_of = {pid: result.ap_step[q.pids == pid].min() for pid in np.unique(q.pids)}
    assert [hard.average_precision for hard in hardest] == sorted(worst_of.values())[:5]
    assert len({q.pids[hard.query_row] for hard in hardest}) == 5
    for hard in hardest:
        assert list(hard.scores) == sorted(hard.scores, reverse=True)
        hits = [rank for rank, right in enumerate(hard.right) if right]
        assert hits[:1] == ([hard.first_hit_rank] if hard.first_hit_rank < 10 else [])


def test_what_the_protocol_drops_is_not_shown() -> None:
    rows = np.eye(2, dtype=np.float32)[[0, 0, 0, 1, 0]]
    who = labels([1, 1, -1, 2, 1], [1, 1, 2, 2, 2])
    result = evaluate_retrieval(rows[:1], rows[1:], who[:1], who[1:])
    (hard,) = hardest_queries(rows[:1], rows[1:], who[:1], who[1:], result)
    assert (hard.gallery_rows, hard.right) == ((3, 2), (True, False))
