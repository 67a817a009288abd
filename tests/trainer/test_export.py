from pathlib import Path

import numpy as np
import onnxruntime
import openvino
import pytest
from typer.testing import CliRunner

from reid.datasets.generated import generate_crops
from reid.precision import Precision
from reid.predictors import Embedder
from trainer.cli import app
from trainer.export import Target


def export(bundle: Path, target: str, out: Path) -> str:
    result = CliRunner().invoke(app, ["export", "--bundle", str(bundle), "--to", target, "--out", str(out)])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("target", list(Target))
def test_an_export_answers_as_the_bundle_does_for_any_batch(tiny_bundle: Path, tmp_path: Path, target: Target) -> None:
    out = tmp_path / {"onnx": "model.onnx", "openvino": "model.xml"}[target]
    assert "crops of 64 × 32 px" in export(tiny_bundle, target, out)
    embedder = Embedder.load(tiny_bundle, device="cpu")
    embedder.precision = Precision.FP32
    pixels = embedder.bundle.preprocess.stack([crop.image for crop in generate_crops(5, cameras=1, per_camera=1)])
    expected = embedder.embed_pixels(pixels)
    for count in (1, 5):
        given = pixels[:count].numpy()
        if target is Target.ONNX:
            answers = onnxruntime.InferenceSession(out).run(None, {"pixels": given})[0]
        else:
            answers = openvino.Core().compile_model(out, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([given])[0]
        assert (answers.shape, answers.dtype) == ((count, 32), np.float32)
        assert (answers * expected[:count]).sum(axis=1).min() >= 0.9999
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("draft")]


def test_another_suffix_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    arguments = ["export", "--bundle", str(tiny_bundle), "--to", "onnx", "--out", str(tmp_path / "model.bin")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "ends in .onnx, got 'model.bin'" in result.stderr
    assert list(tmp_path.iterdir()) == []
