"""What only a machine with a GPU can show, against the processor's answers. `make test-gpu` counts what is skipped."""

import json
from pathlib import Path

import faiss
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from reid.predictors import Embedder
from reid.search import Device, ExactIndex
from reid.search.device import Copy
from tests.search.test_device import answers, crowd
from tests.search.test_exact_index import oracle, unit_rows
from tests.trainer.test_distributed import torchrun

GPUS = torch.cuda.device_count()
needs_gpu = pytest.mark.skipif(GPUS < 1, reason="no GPU that torch can use")
LEAST_COSINE = 0.999  # what half precision may cost


@needs_gpu
@pytest.mark.parametrize("number", range(max(GPUS, 1)))
@pytest.mark.parametrize("bundle", ["default", "resnet50"])
def test_embeddings_are_those_of_the_processor(bundle: str, number: int) -> None:
    rng = np.random.default_rng(0)
    processor, gpu = Embedder.load(bundle, "cpu"), Embedder.load(bundle, f"cuda:{number}")
    height, width = processor.bundle.preprocess.height_px, processor.bundle.preprocess.width_px
    coarse = torch.from_numpy(rng.integers(0, 256, (48, 3, 8, 4), np.uint8)).float()
    pixels = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear").to(torch.uint8)
    cosines = (processor.embed_pixels(pixels) * gpu.embed_pixels(pixels)).sum(axis=1)
    assert cosines.min() >= LEAST_COSINE


@pytest.mark.skipif(
    not hasattr(faiss, "StandardGpuResources") or faiss.get_num_gpus() < 1,
    reason="no GPU that the FAISS installed can use (make install FAISS=gpu)",
)
def test_the_index_answers_as_brute_force_does_with_and_without_filters() -> None:
    rng = np.random.default_rng(1)
    found = Device.find()
    assert found is not None
    device, searched = counting(found)
    for rows, vectors in [(rows, unit_rows(rng, rows, 64).astype(np.float16)) for rows in (100, 3_000, 40_000)]:
        check_answers(rng, ExactIndex(64, device), vectors)
        assert (sum(searched) > 0) == (rows > 100), "the GPU was to be asked for full chunks"
        searched.clear()
    check_answers(rng, ExactIndex(64, device), crowd(rng, 3_000, 64))


def counting(device: Device) -> tuple[Device, list[int]]:
    """The same GPU, and of each search by it for how many queries it was."""
    searched: list[int] = []

    class Counted:
        def __init__(self, copy: Copy) -> None:
            self._copy = copy

        def search(self, queries: NDArray[np.float32], depth: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
            searched.append(len(queries))
            return self._copy.search(queries, depth)

    return Device(lambda index: Counted(device._copy(index))), searched


def check_answers(rng: np.random.Generator, index: ExactIndex, vectors: NDArray[np.float16]) -> None:
    """Those of brute force, with and without a filter, some rows gone."""
    rows = len(vectors)
    alive, wanted = rng.random(rows) < 0.9, rng.random(rows) < 0.3
    index.add(np.arange(rows), vectors)
    index.remove(np.flatnonzero(~alive))
    view, queries = index.view(), unit_rows(rng, 3, 64)
    assert answers(view, queries, 20) == [oracle(vectors, range(rows), alive, one, 20) for one in queries]
    expected = [oracle(vectors, range(rows), alive & wanted, one, 20) for one in queries]
    assert answers(view, queries, 20, view.mask(np.flatnonzero(wanted))) == expected


@pytest.mark.skipif(GPUS < 2, reason="no two GPUs that torch can use")
def test_two_gpus_train_one_model(tmp_path: Path) -> None:
    out = tmp_path / "run"
    torchrun(2, "-m", "trainer.cli", "train", "debug", "--data", "generated", "--out", out, "--set", "epochs=2")
    assert json.loads((out / "outcome.json").read_text())["verdict"] == "finished"
    assert (out / "bundle" / "bundle.json").is_file()
