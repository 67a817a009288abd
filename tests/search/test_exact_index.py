"""The exact index against a brute-force oracle that adds up in float64."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from reid.errors import VectorError
from reid.search import ExactIndex
from reid.search.chunk import Chunk
from reid.search.index import FIRST_CHUNK_ROWS


def unit_rows(rng: np.random.Generator, rows: int, dimension: int) -> NDArray[np.float32]:
    vectors = rng.standard_normal((rows, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def oracle(vectors, row_ids, alive, query, top_k):
    """Every live row scored and sorted: [(score, row id)], best first."""
    scores = (vectors.astype(np.float64) @ query.astype(np.float64)).astype(np.float32)
    ranked = sorted((-score, row) for score, row, here in zip(scores, row_ids, alive, strict=True) if here)
    return [(-score, row) for score, row in ranked[:top_k]]


def pairs(scores, rows):
    return [(score, row) for score, row in zip(scores, rows, strict=True) if row != -1]


def found(index: ExactIndex, query, top_k, keep=None):
    scores, rows = index.view().search(query[None], top_k, keep)
    return pairs(scores[0], rows[0])


@given(st.data())
@settings(max_examples=150)
def test_equals_brute_force(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    dimension, rows = data.draw(st.integers(1, 24)), data.draw(st.integers(0, 60))
    distinct = data.draw(st.integers(1, 60))  # few distinct rows: many ties
    pool = unit_rows(rng, distinct, dimension).astype(np.float16)
    vectors = pool[rng.integers(0, distinct, rows)]
    row_ids = np.cumsum(rng.integers(1, 4, rows)).astype(np.int64)
    index = ExactIndex(dimension)
    for part in np.array_split(np.arange(rows), 3):
        index.add(row_ids[part], vectors[part])
    removed = row_ids[rng.random(rows) < 0.2]
    assert index.remove(removed) == len(removed)
    keep = rng.random(rows) < data.draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    query = unit_rows(rng, 1, dimension)[0] * np.float32(data.draw(st.sampled_from([0.5, 1.0])))
    top_k = data.draw(st.integers(1, 70))

    alive = ~np.isin(row_ids, removed)
    assert found(index, query, top_k) == oracle(vectors, row_ids, alive, query, top_k)
    assert found(index, query, top_k, keep) == oracle(vectors, row_ids, alive & keep, query, top_k)
    assert index.view().count() == alive.sum()
    assert index.view().count(keep) == (alive & keep).sum()


@pytest.mark.parametrize("share", [None, 0.001, 0.1, 0.9])
def test_equals_brute_force_over_several_chunks(share):
    rng = np.random.default_rng(3)
    rows, dimension = 5 * FIRST_CHUNK_ROWS + 17, 32
    vectors = unit_rows(rng, rows, dimension).astype(np.float16)
    vectors[::7] = vectors[0]  # one row many times, on both sides of every chunk's edge
    row_ids = np.arange(rows, dtype=np.int64) * 2
    index = ExactIndex(dimension)
    for start in range(0, rows, 700):
        index.add(row_ids[start : start + 700], vectors[start : start + 700])
    keep = None if share is None else rng.random(rows) < share
    alive = np.ones(rows, bool) if keep is None else keep
    for query in (vectors[0].astype(np.float32), *unit_rows(rng, 3, dimension)):
        assert found(index, query, 50, keep) == oracle(vectors, row_ids, alive, query, 50)


def test_a_mask_names_rows_by_their_ids():
    index = ExactIndex(2)
    index.add(np.array([5, 9, 12]), np.array([[1, 0], [0, 1], [1, 0]], np.float16))
    assert index.view().mask(np.array([12, 7, 9, 99])).tolist() == [False, True, True]
    assert found(index, np.array([1, 0], np.float32), 2, index.view().mask(np.array([12]))) == [(1.0, 12)]


def test_a_view_sees_what_was_there_when_it_was_taken():
    index = ExactIndex(1)
    index.add(np.array([1]), np.array([[0.5]], np.float16))
    view = index.view()
    index.add(np.array([2]), np.array([[1.0]], np.float16))
    assert view.mask(np.array([1, 2])).tolist() == [True]
    assert view.search(np.array([[1.0]], np.float32), 2)[1].tolist() == [[1, -1]]
    with pytest.raises(ValueError, match="a keep of 1 rows, got 2"):
        view.count(np.ones(2, bool))


def distinct_halves() -> NDArray[np.float16]:
    """Every finite float16 there is."""
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    return every[np.isfinite(every)]


def test_every_number_is_kept_bit_for_bit():
    halves = distinct_halves()
    chunk = Chunk(len(halves), 1)
    chunk.write(0, halves[:, None])
    back = chunk.vectors(np.arange(len(halves)))[:, 0]
    assert back.tobytes() == halves.tobytes()
    assert np.abs(chunk.low).max() <= 4


@pytest.fixture(params=["bf16", "fp32"])
def product(request, monkeypatch):
    """Batches with and without half-precision hardware."""
    monkeypatch.setattr("reid.search.product.multiplies_bf16", lambda _: request.param == "bf16")


def crowded_index(rng) -> tuple[ExactIndex, NDArray[np.float16], NDArray[np.int64]]:
    """Few directions, each seen many times and nearly alike, many rows gone; the vectors and ids that are left."""
    dimension, rows = int(rng.integers(1, 40)), int(rng.integers(1, 400))
    people = unit_rows(rng, int(rng.integers(1, 30)), dimension)
    noise = rng.choice([0, 1e-4, 1e-2, 0.3]) * rng.standard_normal((rows, dimension))
    vectors = (people[rng.integers(0, len(people), rows)] + noise).astype(np.float16)
    row_ids = np.cumsum(rng.integers(1, 4, rows)).astype(np.int64)
    index = ExactIndex(dimension)
    alive = rng.random(rows) < rng.choice([1, 0.8, 0.2])
    for part in np.array_split(np.arange(rows), 4):
        index.add(row_ids[part], vectors[part])
        index.remove(row_ids[part][~alive[part]])
    return index, vectors[alive], row_ids[alive]


def test_ten_thousand_filtered_queries_equal_brute_force(product, monkeypatch):
    monkeypatch.setattr("reid.search.index.FIRST_CHUNK_ROWS", 32)
    monkeypatch.setattr("reid.search.index.LARGEST_CHUNK_ROWS", 96)
    rng = np.random.default_rng(11)
    for _ in range(100):
        index, vectors, row_ids = crowded_index(rng)
        view = index.view()
        assert view.count() == len(row_ids)
        for share in (0.01, 0.1, 0.3, 0.5, 1.0):
            kept = rng.random(len(row_ids)) < share
            queries = (
                unit_rows(rng, 10, vectors.shape[1]) if rng.random() < 0.5 or not len(vectors) else near(rng, vectors)
            )
            top_k = int(rng.integers(1, 40))
            keep = view.mask(row_ids[kept])
            expected = [oracle(vectors, row_ids, kept, query, top_k) for query in queries]
            assert [pairs(*answer) for answer in zip(*view.search(queries, top_k, keep), strict=True)] == expected
            assert [pairs(*answer) for answer in zip(*view.search(queries[:2], top_k, keep), strict=True)] == expected[
                :2
            ]


def near(rng, vectors) -> NDArray[np.float32]:
    return vectors[rng.integers(0, len(vectors), 10)].astype(np.float32)


def test_compaction_gives_back_the_room_of_the_dead_and_moves_nothing_under_a_reader():
    rng = np.random.default_rng(5)
    rows, dimension = 8 * FIRST_CHUNK_ROWS, 8
    vectors = unit_rows(rng, rows, dimension).astype(np.float16)
    index = ExactIndex(dimension)
    index.add(np.arange(rows), vectors)
    before, query = index.view(), vectors[:1].astype(np.float32)
    gone = rng.permutation(rows)[: rows * 9 // 10]
    for part in np.array_split(gone, 40):
        index.remove(part)
    left = np.setdiff1d(np.arange(rows), gone)
    assert index.view().length < 2 * len(left)
    assert index.view().count() == len(left)
    assert found(index, query[0], 9) == oracle(vectors, range(rows), np.isin(range(rows), left), query[0], 9)
    assert set(before.search(query, rows)[1][0].tolist()) >= set(left.tolist())
    index.add(np.array([rows]), vectors[:1])
    assert index.view().positions(np.array([rows, left[3], gone[0]])).tolist()[0] == index.view().length - 1


def test_an_index_that_lost_everything_takes_more():
    index = ExactIndex(2)
    rows = np.arange(3 * FIRST_CHUNK_ROWS)
    index.add(rows, np.ones((len(rows), 2), np.float16))
    for part in np.array_split(rows, 8):
        index.remove(part)
    assert index.view().count() == 0
    with pytest.raises(ValueError, match="row ids that rise"):
        index.add(rows[-1:], np.ones((1, 2), np.float16))
    index.add(rows[-1:] + 1, np.ones((1, 2), np.float16))
    assert found(index, np.array([1, 0], np.float32), 2) == [(1.0, len(rows))]


def test_removing_twice_counts_once():
    index = ExactIndex(1)
    index.add(np.array([1]), np.array([[1.0]], np.float16))
    assert [index.remove(np.array([1, 1])), index.remove(np.array([1])), index.remove(np.array([4]))] == [
        1,
        0,
        0,
    ]


@pytest.mark.parametrize("row_ids", [[3, 3], [3, 2], [2, 4], [-1, 3]])
def test_row_ids_are_never_used_again(row_ids):
    index = ExactIndex(1)
    index.add(np.array([2]), np.array([[1.0]], np.float16))
    with pytest.raises(ValueError, match="row ids that rise"):
        index.add(np.array(row_ids), np.ones((2, 1), np.float16))
    assert index.view().length == 1


def test_what_is_not_a_vector_is_refused():
    index = ExactIndex(3)
    with pytest.raises(VectorError, match=r"shape \(N, 3\), got \(1, 2\)"):
        index.add(np.array([1]), np.ones((1, 2), np.float16))
    with pytest.raises(VectorError, match="finite"):
        index.view().search(np.array([[np.nan, 0, 0]], np.float32), 1)
    with pytest.raises(ValueError, match="top_k of at least 1, got 0"):
        index.view().search(np.ones((1, 3), np.float32), 0)


def test_readers_see_whole_rows_while_a_writer_adds():
    """Row i holds one vector and id i: whatever a reader is given must be there, complete and in order."""
    index, stop = ExactIndex(8), threading.Event()
    vector = np.full(8, 8**-0.5, np.float16)
    wrong: list[object] = []

    def read() -> None:
        while not stop.is_set():
            before = index.view().length
            scores, rows = index.view().search(vector[None].astype(np.float32), 5)
            if before >= 5 and (rows[0].tolist() != [0, 1, 2, 3, 4] or np.ptp(scores) != 0):
                wrong.append((rows, scores))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for row in range(0, 3_000, 3):
        index.add(np.arange(row, row + 3), np.tile(vector, (3, 1)))
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []
