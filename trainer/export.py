"""A bundle in the form of other runtimes: pixels in, unit vectors out, preprocessing and flip averaging included."""

from enum import StrEnum
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reid.errors import BundleError
from reid.kinds import EmbeddingBundle
from reid.networks.embedding import EmbeddingNetwork
from reid.predictors import embed_tensor

MIN_AGREEMENT = 0.9999
_PROBES = 3


class Target(StrEnum):
    """Forms that a bundle can be exported to."""

    ONNX = "onnx"
    OPENVINO = "openvino"


class PixelsToVectors(nn.Module):
    """(B, 3, H, W) uint8 RGB at the bundle's size → (B, D) float32 unit rows."""

    def __init__(self, network: EmbeddingNetwork, bundle: EmbeddingBundle) -> None:
        super().__init__()
        self.network = network
        self.preprocess = bundle.preprocess

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Normalise, embed, add the mirrored crop's features where the bundle says so, scale to unit length."""
        images = self.preprocess.normalise(pixels)
        return embed_tensor(self.network, images, flip_average=self.preprocess.flip_average)


def export_network(network: EmbeddingNetwork, bundle: EmbeddingBundle, target: Target, out: Path) -> float:
    """Write `out` (`.onnx`, or `.xml` with its `.bin`) for any batch size; return the least cosine to the bundle.

    The file is run on probe pixels, two batch sizes, before it takes its place. Raises :class:`BundleError` when an
    answer's cosine to the bundle's own in float32 is below 0.9999, ``ValueError`` for another suffix.
    """
    suffix = {Target.ONNX: ".onnx", Target.OPENVINO: ".xml"}[target]
    if out.suffix != suffix:
        raise ValueError(f"expected an output file that ends in {suffix}, got {out.name!r}")
    model = PixelsToVectors(network, bundle).eval()
    pixels = _probes(bundle)
    draft = out.with_name("draft-" + out.name)
    write, answer = {Target.ONNX: (_write_onnx, _run_onnx), Target.OPENVINO: (_write_openvino, _run_openvino)}[target]
    try:
        write(model, pixels, draft)
        agreement = min(_agreement(model, batch, answer(draft, batch)) for batch in (pixels, pixels[:1]))
        if agreement < MIN_AGREEMENT:
            raise BundleError(f"expected the export to agree with the bundle to {MIN_AGREEMENT}, got {agreement:.6f}")
        if target is Target.OPENVINO:
            draft.with_suffix(".bin").replace(out.with_suffix(".bin"))
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
        draft.with_suffix(".bin").unlink(missing_ok=True)
    return agreement


def _probes(bundle: EmbeddingBundle) -> torch.Tensor:
    """Smooth seeded noise at the bundle's size, (B, 3, H, W) uint8."""
    size = (bundle.preprocess.height_px, bundle.preprocess.width_px)
    coarse = torch.rand(_PROBES, 3, 8, 4, generator=torch.Generator().manual_seed(0))
    return nn.functional.interpolate(coarse, size, mode="bilinear").mul(255).to(torch.uint8)


@torch.inference_mode()
def _agreement(model: nn.Module, pixels: torch.Tensor, answers: NDArray[np.float32]) -> float:
    expected = model(pixels).numpy()
    return float((expected * answers).sum(axis=1).min())


def _traced(model: nn.Module, pixels: torch.Tensor) -> torch.export.ExportedProgram:
    return torch.export.export(model, (pixels,), dynamic_shapes=({0: torch.export.Dim("batch")},))


def _write_onnx(model: nn.Module, pixels: torch.Tensor, out: Path) -> None:
    torch.onnx.export(
        _traced(model, pixels),
        f=out,
        input_names=["pixels"],
        output_names=["embedding"],
        external_data=False,
        verbose=False,
    )


def _run_onnx(file: Path, pixels: torch.Tensor) -> NDArray[np.float32]:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    answers: NDArray[np.float32] = session.run(None, {"pixels": pixels.numpy()})[0]
    return answers


def _write_openvino(model: nn.Module, pixels: torch.Tensor, out: Path) -> None:
    import openvino

    openvino.save_model(openvino.convert_model(_traced(model, pixels)), out)


def _run_openvino(file: Path, pixels: torch.Tensor) -> NDArray[np.float32]:
    import openvino

    compiled = openvino.Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answers: NDArray[np.float32] = compiled([pixels.numpy()])[0]
    return answers
