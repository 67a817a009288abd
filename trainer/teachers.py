"""Embeddings of the training crops by a network that already knows, for a student to learn their geometry."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from reid.errors import RecipeError
from reid.predictors import Embedder
from reid.transforms import PreprocessConfig
from trainer.evaluation import embed_files
from trainer.pixels import read_crops
from trainer.progress import mapped


def teacher_embeddings(teacher: Path, crops: Sequence[Path]) -> torch.Tensor:
    """(N, T) float32 unit rows for the crops in order, from what a recipe's `teacher` names.

    A bundle folder; `.npz` as `reid-trainer embed` writes it (`path`, `embedding`), matched by file name; or a network,
    run here: `.onnx`, or `.xml` of OpenVINO. A network that takes uint8 is one of `reid-trainer export`; one that takes
    floats is fed as the Open Model Zoo feeds its own: BGR, 0–255, resized bilinearly, the mirrored crop's vector added.
    Raises :class:`RecipeError` when it is none of these or a crop is missing.
    """
    if (teacher / "bundle.json").is_file():
        rows = _by_bundle(teacher, crops)
    elif teacher.suffix == ".npz" and teacher.is_file():
        rows = _stored(teacher, crops)
    elif teacher.suffix in (".xml", ".onnx") and teacher.is_file():
        rows = _by_network(teacher, crops)
    else:
        raise RecipeError(f"teacher: expected a bundle folder or a .npz, .onnx or .xml file, got {str(teacher)!r}")
    return torch.from_numpy(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _by_bundle(folder: Path, crops: Sequence[Path]) -> NDArray[np.float32]:
    return embed_files(Embedder.load(folder), crops, "the teacher's crops")


def _stored(file: Path, crops: Sequence[Path]) -> NDArray[np.float32]:
    with np.load(file) as arrays:
        known = {Path(path).name: row for path, row in zip(arrays["path"], arrays["embedding"], strict=True)}
        num_rows = len(arrays["path"])
    if len(known) < num_rows:
        raise RecipeError(f"{file}: expected every file name once, got {num_rows} rows of {len(known)} names")
    if missing := [crop.name for crop in crops if crop.name not in known]:
        raise RecipeError(f"{file}: {len(missing)} training crops have no teacher embedding, such as {missing[0]}")
    return np.stack([known[crop.name] for crop in crops]).astype(np.float32)


def _by_network(file: Path, crops: Sequence[Path]) -> NDArray[np.float32]:
    """(N, T), not of unit length. OpenVINO runs both forms; the input's own shape says the crop size."""
    import openvino

    model = openvino.Core().read_model(file)
    given = model.inputs[0]
    size = PreprocessConfig(
        height_px=given.partial_shape[2].get_length(),
        width_px=given.partial_shape[3].get_length(),
        interpolation="bicubic" if given.element_type == openvino.Type.u8 else "bilinear",
    )
    compiled = openvino.Core().compile_model(model, "CPU")

    def vector(image: Image.Image) -> NDArray[np.float32]:
        rgb = size.resize(image).transpose(2, 0, 1)
        if given.element_type == openvino.Type.u8:
            row: NDArray[np.float32] = compiled([rgb[None]])[0][0]
            return row
        bgr = rgb[::-1].astype(np.float32)
        both: NDArray[np.float32] = compiled([bgr[None]])[0][0] + compiled([bgr[None, :, :, ::-1]])[0][0]
        return both

    return np.stack(mapped(vector, read_crops(crops), len(crops), "the teacher's crops"))
