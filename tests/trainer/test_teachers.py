from pathlib import Path

import numpy as np
import openvino
import pytest
import torch
from openvino import opset13 as ops
from PIL import Image
from typer.testing import CliRunner

from reid.datasets.market1501 import read_market1501
from reid.errors import DatasetError, RecipeError
from reid.predictors import Embedder
from trainer.cli import app
from trainer.teachers import teacher_embeddings


@pytest.fixture
def crops(generated_market: Path) -> list[Path]:
    return [crop.path for crop in read_market1501(generated_market).train][:6]


def test_a_bundle_teaches_its_own_vectors(tiny_bundle: Path, crops: list[Path]) -> None:
    rows = teacher_embeddings(tiny_bundle, crops)
    expected = Embedder.load(tiny_bundle).embed([crop.read_bytes() for crop in crops])
    assert rows.shape == (6, 32)
    assert (rows.numpy() * expected).sum(axis=1).min() > 0.999


def test_an_exported_bundle_teaches_the_same(tiny_bundle: Path, crops: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "model.onnx"
    exported = CliRunner().invoke(app, ["export", "--bundle", str(tiny_bundle), "--to", "onnx", "--out", str(out)])
    assert exported.exit_code == 0
    agreement = (teacher_embeddings(out, crops) * teacher_embeddings(tiny_bundle, crops)).sum(1)
    assert agreement.min() > 0.99


def test_a_network_of_floats_is_fed_bgr_and_both_views(crops: list[Path], tmp_path: Path) -> None:
    """A real OpenVINO file that answers with the mean blue, green and red of the left half of a crop."""
    pixels = ops.parameter([1, 3, 16, 8], np.float32)
    left = ops.slice(pixels, [0], [4], [1], axes=[3])
    means = ops.reduce_mean(left, np.array([2, 3]), keep_dims=False)
    openvino.save_model(openvino.Model([means], [pixels]), tmp_path / "means.xml")
    rows = teacher_embeddings(tmp_path / "means.xml", crops)
    expected = []
    for crop in crops:
        rgb = np.asarray(Image.open(crop).convert("RGB").resize((8, 16), Image.Resampling.BILINEAR), np.float32)
        bgr = rgb[:, :4, ::-1].mean(axis=(0, 1)) + rgb[:, 4:, ::-1].mean(axis=(0, 1))
        expected.append(bgr / np.linalg.norm(bgr))
    assert torch.allclose(rows, torch.tensor(np.stack(expected)), atol=1e-3)


def test_stored_embeddings_are_matched_by_name(crops: list[Path], tmp_path: Path) -> None:
    embedding = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    names = [f"elsewhere/{crop.name}" for crop in crops]
    np.savez(tmp_path / "teacher.npz", path=np.array(names[::-1]), embedding=embedding[::-1])
    rows = teacher_embeddings(tmp_path / "teacher.npz", crops)
    assert torch.allclose(rows, torch.nn.functional.normalize(torch.from_numpy(embedding)), atol=1e-6)
    np.savez(tmp_path / "short.npz", path=np.array(names[1:]), embedding=embedding[1:])
    with pytest.raises(RecipeError, match=f"1 training crops have no teacher embedding, such as {crops[0].stem}"):
        teacher_embeddings(tmp_path / "short.npz", crops)


def test_files_that_are_no_teachers_inside_are_refused(tmp_path: Path, crops: list[Path]) -> None:
    np.savez(tmp_path / "other.npz", rows=np.ones(3))
    with pytest.raises(DatasetError, match=r"other\.npz: expected a \.npz with `path` and `embedding`"):
        teacher_embeddings(tmp_path / "other.npz", crops)
    (tmp_path / "other.npz").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"other\.npz: expected a \.npz with `path` and `embedding`"):
        teacher_embeddings(tmp_path / "other.npz", crops)
    (tmp_path / "other.xml").write_text("no network")
    with pytest.raises(RecipeError, match=r"teacher: expected a network in .*other\.xml, got what cannot be read"):
        teacher_embeddings(tmp_path / "other.xml", crops)


def test_what_is_no_teacher_is_refused(tmp_path: Path, crops: list[Path]) -> None:
    for name in ("missing.npz", "notes.txt", "."):
        (tmp_path / "notes.txt").touch()
        with pytest.raises(RecipeError, match="teacher: expected a bundle folder or a"):
            teacher_embeddings(tmp_path / name, crops)
