"""A guard of the hot paths: what each costs beside its limit, in processor time, and several times too generous.

A tenfold loss fails here; how fast it all is, `make bench` says.
"""

import io
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

from reid.datasets.generated import generate_crops
from reid.evaluation.labels import PeopleLabels
from reid.evaluation.retrieval import evaluate_retrieval
from reid.predictors import Embedder
from reid.search import ExactIndex

ROWS, DIMENSION, TOP_K = 50_000, 512, 10
Work = Callable[[], object]


def times(ours: Work, peer: Work, pairs: int = 7) -> float:
    """How many times the peer's processor time ours takes, at the best of each: other processes hardly move it."""
    ours(), peer()
    spent = [(_spent(ours), _spent(peer)) for _ in range(pairs)]
    return min(our for our, _ in spent) / min(theirs for _, theirs in spent)


def _spent(work: Work) -> float:
    started = time.process_time()
    work()
    return max(time.process_time() - started, 1e-6)


@pytest.fixture(scope="module")
def stored() -> np.ndarray:
    vectors = np.random.default_rng(0).standard_normal((ROWS, DIMENSION), dtype=np.float32)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


@pytest.fixture(scope="module")
def index(stored: np.ndarray) -> ExactIndex:
    index = ExactIndex(DIMENSION)
    index.add(np.arange(ROWS), stored)
    return index


def test_a_batch_of_searches_costs_little_more_than_its_product(index: ExactIndex, stored: np.ndarray) -> None:
    queries = stored[:64].astype(np.float32)
    rows, asked, view = torch.from_numpy(stored).float(), torch.from_numpy(queries), index.view()
    assert times(lambda: view.search(queries, TOP_K), lambda: asked @ rows.T) < 10


def test_a_single_search_costs_little_more_than_reading_the_rows(index: ExactIndex, stored: np.ndarray) -> None:
    query, words, view = stored[:1].astype(np.float32), torch.from_numpy(stored.view(np.int64)), index.view()
    assert times(lambda: view.search(query, TOP_K), words.max) < 20


def test_a_filter_does_not_make_a_search_dear(index: ExactIndex, stored: np.ndarray) -> None:
    query, view = stored[:1].astype(np.float32), index.view()
    keep = np.random.default_rng(1).random(ROWS) < 0.01
    assert times(lambda: view.search(query, TOP_K, keep), lambda: view.search(query, TOP_K)) < 4


def test_the_metrics_look_at_the_true_matches_alone(stored: np.ndarray) -> None:
    generator = np.random.default_rng(2)
    query, gallery = stored[:200].astype(np.float32), stored[:5_000].astype(np.float32)
    labels = [PeopleLabels(generator.integers(1, 50, n), generator.integers(1, 7, n)) for n in (200, 5_000)]

    def sort_every_row() -> object:
        return [np.argsort(-(gallery @ vector)) for vector in query]

    assert times(lambda: evaluate_retrieval(query, gallery, *labels), sort_every_row, pairs=3) < 3


def test_to_embed_files_costs_little_more_than_the_network() -> None:
    embedder = Embedder.load(device="cpu")
    files = []
    for crop in generate_crops(4, cameras=2, per_camera=1):
        crop.image.save(buffer := io.BytesIO(), "JPEG")
        files.append(buffer.getvalue())
    preprocess = embedder.bundle.preprocess
    pixels = torch.zeros((len(files), 3, preprocess.height_px, preprocess.width_px), dtype=torch.uint8)
    assert times(lambda: embedder.embed(files), lambda: embedder.embed_pixels(pixels), pairs=3) < 5
