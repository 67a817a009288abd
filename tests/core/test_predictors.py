import io
import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from reid.datasets.generated import generate_crops
from reid.errors import ImageFormatError
from reid.networks.embedding import EmbeddingArguments, EmbeddingNetwork
from reid.precision import Precision, choose_precision, multiplies_bf16, native_half
from reid.predictors import Embedder, openvino_network, resolve_device
from reid.predictors import device as devices
from reid.predictors.openvino_network import OpenVinoNetwork
from reid.transforms import PreprocessConfig
from tests.conftest import write_tiny


@pytest.fixture(scope="module", params=["cpu", "openvino"])
def embedder(tiny_bundle: Path, request: pytest.FixtureRequest) -> Embedder:
    return Embedder.load(tiny_bundle, device=request.param)


@pytest.fixture(scope="module")
def crops() -> list[Image.Image]:
    return [crop.image for crop in generate_crops(10, cameras=2, per_camera=2, seed=3)]


def test_rows_are_float32_of_unit_length(embedder: Embedder, crops: list[Image.Image]) -> None:
    rows = embedder.embed(crops)
    assert (rows.shape, rows.dtype) == ((40, 32), np.float32)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_the_batch_an_image_travels_in_does_not_matter(embedder: Embedder, crops: list[Image.Image]) -> None:
    together = embedder.embed(crops)
    alone = np.concatenate([embedder.embed([crop]) for crop in crops])
    assert (together * alone).sum(axis=1).min() >= 0.999


def test_bytes_and_the_image_they_hold_agree(embedder: Embedder, crops: list[Image.Image]) -> None:
    buffer = io.BytesIO()
    crops[0].save(buffer, "PNG")
    assert np.array_equal(embedder.embed([buffer.getvalue()]), embedder.embed([crops[0]]))


def test_a_mirrored_crop_has_the_same_embedding(embedder: Embedder, crops: list[Image.Image]) -> None:
    """Flip averaging is a field of the bundle; resizing is symmetric, so both views swap places."""
    mirrored = crops[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert float((embedder.embed([crops[0]]) @ embedder.embed([mirrored]).T).item()) >= 0.999


def test_no_images_give_no_rows(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, 32)


def test_bytes_that_are_no_image_are_refused(embedder: Embedder) -> None:
    with pytest.raises(ImageFormatError):
        embedder.embed([b"hello"])


def test_openvino_and_torch_give_the_same_vectors(tiny_bundle: Path, crops: list[Image.Image]) -> None:
    by_torch, by_openvino = (Embedder.load(tiny_bundle, device=device) for device in ("cpu", "openvino"))
    for batch in (crops[:1], crops[:7], crops):
        agreed = (by_torch.embed(batch) * by_openvino.embed(batch)).sum(axis=1)
        assert agreed.min() >= (0.999 if by_torch.precision is Precision.BF16 else 0.99999)


def test_an_embedder_serves_several_threads_at_once(embedder: Embedder, crops: list[Image.Image]) -> None:
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda crop: embedder.embed([crop])[0], crops * 3))
    alone = [embedder.embed([crop])[0] for crop in crops] * 3
    assert np.array_equal(found, alone)


def test_openvino_is_not_used_where_it_does_not_agree(monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path) -> None:
    monkeypatch.setattr(openvino_network, "cosine", lambda *_: 0.99)
    with pytest.raises(ValueError, match=r"expected OpenVINO to agree with the bundle to 0\.999, got 0\.990000"):
        Embedder.load(tiny_bundle, device="openvino")


def test_openvinos_form_is_kept_and_a_torn_or_foreign_one_is_made_anew(
    tmp_path: Path, tiny_bundle: Path, crops: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    def embedded() -> NDArray[np.float32]:
        return Embedder.load(tiny_bundle, "openvino", tmp_path / "cache").embed(crops)

    expected, converted = embedded(), list[OpenVinoNetwork]()
    (file,) = (tmp_path / "cache").glob("*.xml")
    assert sorted((tmp_path / "cache").iterdir()) == [file.with_suffix(".bin"), file]
    own = OpenVinoNetwork._converted
    monkeypatch.setattr(OpenVinoNetwork, "_converted", lambda network: converted.append(network) or own(network))
    foreign = Embedder.load(write_tiny(tmp_path / "other", seed=1), "openvino", tmp_path / "foreign").bundle_id
    converted.clear()
    for part, damage in (
        (file, file.read_bytes()[:1000]),
        (file.with_suffix(".bin"), (tmp_path / "foreign" / f"{foreign}.bin").read_bytes()),
    ):
        assert np.array_equal(embedded(), expected)
        assert not converted
        part.write_bytes(damage)
        assert np.array_equal(embedded(), expected)
        assert len(converted) == 1
        converted.clear()


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(
    tmp_path: Path, tiny_bundle: Path, crops: list[Image.Image], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file")
    embedder = Embedder.load(tiny_bundle, "openvino", tmp_path / "cache")
    assert embedder.embed(crops).shape == (len(crops), 32)
    assert "could not be kept" in caplog.text


def test_what_was_trained_on_a_device_is_judged_as_a_service_would_run_it_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for gpu, expected in ((False, "auto"), (True, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda gpu=gpu: gpu)
        assert devices.served_on(torch.device("cpu")) == expected
        assert devices.served_on(torch.device("cuda", 1)) == "cuda:1"


def test_openvino_embeds_where_it_was_said_and_by_itself_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for has, gpu in itertools.product((True, False), (True, False)):
        monkeypatch.setattr(devices, "_HAS_OPENVINO", has)
        monkeypatch.setattr(torch.cuda, "is_available", lambda gpu=gpu: gpu)
        assert devices.runs_on_openvino("auto") == (has and not gpu)
        assert devices.runs_on_openvino("openvino")
        assert not devices.runs_on_openvino("cpu")
    assert not devices._HAS_OPENVINO
    with pytest.raises(ValueError, match=r"expected OpenVINO for the device 'openvino': pip install"):
        resolve_device("openvino")


def test_half_precision_is_used_only_where_it_agrees(tiny_bundle: Path, crops: list[Image.Image]) -> None:
    chosen = Embedder.load(tiny_bundle, device="cpu")
    exact = Embedder.load(tiny_bundle, device="cpu")
    exact.precision = Precision.FP32
    assert chosen.precision in (native_half(torch.device("cpu")), Precision.FP32)
    assert (chosen.embed(crops) * exact.embed(crops)).sum(axis=1).min() >= 0.999


@pytest.mark.parametrize(
    ("capabilities", "half"),
    [
        ({"avx512_bf16": True, "amx_bf16": True}, Precision.BF16),
        ({"avx512_bf16": True, "amx_bf16": False}, Precision.FP32),
        ({}, Precision.FP32),
    ],
)
def test_half_precision_is_used_only_where_it_is_faster(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], half: Precision
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert native_half(torch.device("cpu")) is half
    assert native_half(torch.device("cuda")) is Precision.FP16
    assert multiplies_bf16(torch.device("cpu")) is ("avx512_bf16" in capabilities)


@pytest.mark.parametrize("device", ["tpu0", "", "cuda:x", "mps", "meta", "xpu"])
def test_a_device_that_does_not_exist_is_refused(device: str) -> None:
    with pytest.raises(ValueError, match="expected a device of auto, cpu, cuda, cuda:N or openvino"):
        resolve_device(device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the GPU that the test wants missing")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a GPU .* but torch finds 0"):
        resolve_device("cuda:0")


def test_a_shape_whose_half_precision_is_broken_runs_in_float32() -> None:
    """A map 2 px wide before a stride of 2, where oneDNN's bf16 convolution gives noise: measured, so never used."""
    torch.manual_seed(0)
    network = EmbeddingNetwork(EmbeddingArguments("resnet18", 2, "linear", 32)).eval()
    cpu, size = torch.device("cpu"), PreprocessConfig(height_px=64, width_px=32)
    chosen = choose_precision(network, size, cpu)
    images = torch.rand(8, 3, 64, 32)
    with torch.inference_mode():
        exact = network(images)
        with chosen.autocast(cpu):
            answers = network(images).float()
    assert torch.nn.functional.cosine_similarity(answers, exact).min() >= 0.999
