"""Embeddings of the training crops by a network that already knows, for a student to learn their geometry."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from reid.errors import RecipeError
from trainer.pixels import read_crops


def teacher_embeddings(teacher: Path, crops: Sequence[Path]) -> torch.Tensor:
    """(N, T) float32 unit rows for the crops in order, from the file that a recipe's `teacher` names.

    `.npz` holds what `reid-trainer embed` wrote (`path`, `embedding`), matched by file name; `.xml` is an OpenVINO
    network (BGR, 0–255), run here. Raises :class:`RecipeError` when the file is of neither kind or a crop is missing.
    """
    if not teacher.is_file():
        raise RecipeError(f"teacher: expected a .npz or .xml file, got {str(teacher)!r}, which is not there")
    match teacher.suffix:
        case ".npz":
            rows = _stored(teacher, crops)
        case ".xml":
            rows = openvino_embeddings(teacher, crops)
        case other:
            raise RecipeError(f"teacher: expected a .npz or .xml file, got {other!r}")
    return torch.from_numpy(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _stored(file: Path, crops: Sequence[Path]) -> NDArray[np.float32]:
    with np.load(file) as arrays:
        known = {Path(path).name: row for path, row in zip(arrays["path"], arrays["embedding"], strict=True)}
    if missing := [crop.name for crop in crops if crop.name not in known]:
        raise RecipeError(f"{file}: {len(missing)} training crops have no teacher embedding, such as {missing[0]}")
    return np.stack([known[crop.name] for crop in crops]).astype(np.float32)


def openvino_embeddings(network: Path, crops: Sequence[Path]) -> NDArray[np.float32]:
    """Run an OpenVINO network over crops and their mirror images and add the two: (N, T) float32, not of unit length.

    The input's own shape says the crop size; crops are resized bilinearly, as the Open Model Zoo's demos do.
    """
    import openvino

    model = openvino.Core().read_model(network)
    height, width = model.inputs[0].shape[2], model.inputs[0].shape[3]
    compiled = openvino.Core().compile_model(model, "CPU")
    rows = []
    for image in read_crops(crops):
        bgr = (
            np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))[:, :, ::-1]
            .transpose(2, 0, 1)
            .astype(np.float32)
        )
        rows.append(sum(compiled([view[None]])[0][0] for view in (bgr, bgr[:, :, ::-1])))
    return np.stack(rows).astype(np.float32)
