"""What a network that already knows says of training crops, for a student to learn its geometry."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from reid.errors import RecipeError
from reid.predictors import Embedder
from reid.transforms import PreprocessConfig
from trainer.embedding_file import read_embeddings
from trainer.pixels import batches, read_crops
from trainer.progress import mapped

_BATCH = 32
Rows = NDArray[np.float32]


def teacher_embeddings(teacher: Path, crops: Sequence[Path]) -> torch.Tensor:
    """(N, T) float32 unit rows for the crops in order, from what a recipe's `teacher` names.

    A bundle folder; `.npz` as `reid-trainer embed` writes it (`path`, `embedding`), matched by file name; or a network,
    run here: `.onnx`, or `.xml` of OpenVINO. A network that takes uint8 is one of `reid-trainer export`; one that takes
    floats is fed as the Open Model Zoo feeds its own: BGR, 0–255, resized bilinearly, the mirrored crop's vector added.
    Raises :class:`RecipeError` when it is none of these or a crop is missing.
    """
    if teacher.suffix == ".npz" and teacher.is_file():
        return _unit(_stored(teacher, crops))
    return _judged(teacher, read_crops(crops), len(crops))


def teacher_files(teacher: Path) -> list[Path]:
    """All that a teacher's answers depend on."""
    if teacher.is_dir():
        return sorted(path for path in teacher.iterdir() if path.is_file())
    weights = teacher.with_suffix(".bin")
    return [teacher, weights] if teacher.suffix == ".xml" and weights.is_file() else [teacher]


def teacher_of_pixels(teacher: Path, pixels: torch.Tensor) -> torch.Tensor:
    """(N, T) float32 unit rows for crops that are on no disk, (N, 3, H, W) uint8.

    Raises :class:`RecipeError` for a teacher that cannot be run: stored embeddings, or nothing of the above.
    """
    images = (Image.fromarray(crop.permute(1, 2, 0).numpy()) for crop in pixels)
    return _judged(teacher, images, len(pixels))


def _judged(teacher: Path, images: Iterable[Image.Image], total: int) -> torch.Tensor:
    rows = mapped(_runnable(teacher), batches(images, _BATCH), -(-total // _BATCH), "the teacher's crops")
    return _unit(np.concatenate(rows))


def _unit(rows: Rows) -> torch.Tensor:
    return torch.from_numpy(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _runnable(teacher: Path) -> Callable[[Sequence[Image.Image]], Rows]:
    """RGB crops → (N, T), of any length."""
    if (teacher / "bundle.json").is_file():
        return Embedder.load(teacher).embed
    if teacher.suffix in (".xml", ".onnx") and teacher.is_file():
        return _Network(teacher).embed
    raise RecipeError(
        f"teacher: expected a bundle folder or a .npz, .onnx or .xml file (no .npz for chimeras), got {str(teacher)!r}"
    )


def _stored(file: Path, crops: Sequence[Path]) -> Rows:
    paths, rows = read_embeddings(file)
    known = {Path(path).name: row for path, row in zip(paths, rows, strict=True)}
    if len(known) < len(rows):
        raise RecipeError(f"{file}: expected every file name once, got {len(rows)} rows of {len(known)} names")
    if missing := [crop.name for crop in crops if crop.name not in known]:
        raise RecipeError(f"{file}: {len(missing)} training crops have no teacher embedding, such as {missing[0]}")
    return np.stack([known[crop.name] for crop in crops])


class _Network:
    """An ONNX or OpenVINO file; OpenVINO runs both, and the input's own shape says the crop size."""

    def __init__(self, file: Path) -> None:
        import openvino

        core = openvino.Core()
        try:
            model = core.read_model(file)
        except RuntimeError as error:
            raise RecipeError(f"teacher: expected a network in {file}, got what cannot be read: {error}") from error
        given = model.inputs[0]
        height, width = (given.partial_shape[axis].get_length() for axis in (2, 3))
        self.takes_bytes = given.element_type == openvino.Type.u8
        self.size = PreprocessConfig(
            height_px=height, width_px=width, interpolation="bicubic" if self.takes_bytes else "bilinear"
        )
        model.reshape([-1, 3, height, width])
        self.run = core.compile_model(model, "CPU")

    def embed(self, images: Sequence[Image.Image]) -> Rows:
        """RGB crops → (N, T)."""
        rgb = np.stack([self.size.resize(image) for image in images]).transpose(0, 3, 1, 2)
        if self.takes_bytes:
            rows: Rows = self.run([rgb])[0]
            return rows
        bgr = rgb[:, ::-1].astype(np.float32)
        both: Rows = self.run([bgr])[0] + self.run([bgr[..., ::-1]])[0]
        return both
