"""The GPU path with an index in its place that is as blind to filters, as shallow and as fragile as one on a GPU."""

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import faiss
import numpy as np
import pytest

from reid.search import Device, ExactIndex
from reid.search.device import MOST_RESULTS
from tests.search.test_exact_index import oracle, pairs, unit_rows


class FakeCopy:
    """Knows no selectors, gives few results, is off by what float32 adds up wrongly, and not for two threads."""

    searches = 0

    def __init__(self, index: faiss.IndexFlatIP) -> None:
        self._index = index
        self._busy = threading.Lock()

    def search(self, queries, depth):
        assert depth <= MOST_RESULTS
        assert self._busy.acquire(blocking=False), "two threads at once"
        try:
            FakeCopy.searches += 1
            scores, places = self._index.search(queries, depth)
        finally:
            self._busy.release()
        noise = np.random.default_rng(depth).uniform(-1, 1, scores.shape).astype(np.float32) * np.float32(1e-7)
        order = np.argsort(-(scores + noise), axis=1, kind="stable")
        return np.take_along_axis(scores + noise, order, axis=1), np.take_along_axis(places, order, axis=1)


@pytest.fixture
def _small_chunks(monkeypatch):
    monkeypatch.setattr("reid.search.index.FIRST_CHUNK_ROWS", 32)
    monkeypatch.setattr("reid.search.index.LARGEST_CHUNK_ROWS", 96)
    monkeypatch.setattr(FakeCopy, "searches", 0)


def crowd(rng, rows, dimension):
    """Rows of few people, many nearly or quite alike."""
    people = unit_rows(rng, 7, dimension)
    return (people[rng.integers(0, 7, rows)] + rng.choice([0, 1e-3]) * rng.standard_normal((rows, dimension))).astype(
        np.float16
    )


def answers(view, queries, top_k, keep=None):
    return [pairs(*answer) for answer in zip(*view.search(queries, top_k, keep), strict=True)]


@pytest.mark.usefixtures("_small_chunks")
def test_answers_are_those_of_brute_force_with_and_without_filters():
    rng = np.random.default_rng(2)
    for _ in range(60):
        rows, dimension, top_k = (int(rng.integers(low, high)) for low, high in ((1, 500), (2, 40), (1, 30)))
        vectors, alive = crowd(rng, rows, dimension), rng.random(rows) < 0.8
        index = ExactIndex(dimension, Device(FakeCopy))
        index.add(np.arange(rows), vectors)
        index.remove(np.flatnonzero(~alive))
        view, queries = index.view(), unit_rows(rng, int(rng.integers(1, 4)), dimension)
        assert answers(view, queries, top_k) == [oracle(vectors, range(rows), alive, one, top_k) for one in queries]
        wanted = rng.random(rows) < 0.3
        before, keep = FakeCopy.searches, view.mask(np.flatnonzero(wanted))
        expected = [oracle(vectors, range(rows), alive & wanted, one, top_k) for one in queries]
        assert answers(view, queries, top_k, keep) == expected
        assert FakeCopy.searches == before, "a filter was left to the device"
    assert FakeCopy.searches > 60


@pytest.mark.usefixtures("_small_chunks")
def test_what_the_device_names_although_it_was_removed_is_not_answered():
    vectors = np.tile(np.array([[1, 0]], np.float16), (64, 1))
    index = ExactIndex(2, Device(FakeCopy))
    index.add(np.arange(64), vectors)
    assert answers(index.view(), vectors[:1], 2) == [[(1.0, 0), (1.0, 1)]]
    index.remove(np.array([0, 2]))
    assert answers(index.view(), vectors[:1], 2) == [[(1.0, 1), (1.0, 3)]]


def test_where_it_cannot_look_deep_enough_the_processors_answer():
    vectors = np.tile(np.array([[1, 0]], np.float16), (3 * 1024, 1))  # all equal: any of them may be the best
    index = ExactIndex(2, Device(FakeCopy))
    index.add(np.arange(len(vectors)), vectors)
    assert answers(index.view(), vectors[:2], 3) == 2 * [[(1.0, 0), (1.0, 1), (1.0, 2)]]
    assert len(answers(index.view(), vectors[:1], MOST_RESULTS)[0]) == MOST_RESULTS


@pytest.mark.usefixtures("_small_chunks")
@pytest.mark.parametrize("fails", ["to copy", "to search"])
def test_what_the_device_fails_with_the_processors_answer_and_it_is_said_once(fails, caplog):
    class Failing(FakeCopy):
        def __init__(self, index):
            if fails == "to copy":
                raise RuntimeError("out of memory")
            super().__init__(index)

        def search(self, queries, depth):
            raise RuntimeError("out of memory")

    rng = np.random.default_rng(4)
    vectors, query = unit_rows(rng, 32, 8).astype(np.float16), unit_rows(rng, 1, 8)
    index = ExactIndex(8, Device(Failing))
    index.add(np.arange(32), vectors)
    for _ in range(2):
        assert answers(index.view(), query, 3) == [oracle(vectors, range(32), np.ones(32, bool), query[0], 3)]
    assert [record.getMessage() for record in caplog.records] == [
        "the processors search 32 rows that the GPU cannot: out of memory"
    ]


@pytest.mark.usefixtures("_small_chunks")
def test_one_search_at_a_time():
    rng = np.random.default_rng(3)
    vectors = unit_rows(rng, 960, 16).astype(np.float16)
    index = ExactIndex(16, Device(FakeCopy))
    index.add(np.arange(960), vectors)
    queries = unit_rows(rng, 8, 16)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda query: answers(index.view(), query[None], 5)[0], queries))
    assert found == [oracle(vectors, range(960), np.ones(960, bool), query, 5) for query in queries]


@pytest.mark.usefixtures("_small_chunks")
def test_the_copies_of_chunks_that_are_gone_go():
    device = Device(FakeCopy)
    index = ExactIndex(2, device)
    index.add(np.arange(192), np.ones((192, 2), np.float16))
    index.view().search(np.ones((1, 2), np.float32), 1)
    before = len(device._copies)
    index.remove(np.arange(180))
    gc.collect()
    index.view().search(np.ones((1, 2), np.float32), 1)
    assert len(device._copies) < before == 3
    assert all(of() is not None for of in device._copies)


def test_a_machine_without_a_gpu_has_no_device(monkeypatch):
    monkeypatch.delattr(faiss, "StandardGpuResources", raising=False)
    assert Device.find() is None
    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0, raising=False)
    assert Device.find() is None


def test_a_gpu_is_used_through_one_set_of_resources(monkeypatch):
    asked = []

    def to_gpu(resources, number, index):
        asked.append((resources, number))
        return FakeCopy(index)

    monkeypatch.setattr(faiss, "StandardGpuResources", lambda: "resources", raising=False)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 2, raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_gpu", to_gpu, raising=False)
    assert Device.find(2) is None
    index = ExactIndex(2, Device.find(1))
    index.add(np.arange(2048), np.ones((2048, 2), np.float16))
    assert answers(index.view(), np.ones((1, 2), np.float32), 1) != []
    assert asked == [("resources", 1), ("resources", 1)]
