"""Detectors whose answer is known: an ONNX file that always gives the rows it was made with."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

Rows = list[tuple[float, float, float, float, float, float, float]]


def write_detector(path: Path, rows: Rows, shape: tuple[int, ...] = (1, 3, 48, 64)) -> Path:
    """An SSD-style network of this input `shape` that answers `rows`, whatever it sees."""
    values = np.array(rows, dtype=np.float32).reshape(1, 1, len(rows), -1)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    found = helper.make_tensor_value_info("found", TensorProto.FLOAT, values.shape)
    nodes = [
        helper.make_node("ReduceMin", ["image"], ["least"], keepdims=0),
        helper.make_node("Mul", ["least", "zero"], ["nothing"]),
        helper.make_node("Add", ["rows", "nothing"], ["found"]),
    ]
    constants = [numpy_helper.from_array(values, "rows"), numpy_helper.from_array(np.float32(0), "zero")]
    graph = helper.make_graph(nodes, "constant", [image], [found], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


@pytest.fixture
def detector_file(tmp_path: Path) -> Callable[[Rows], Path]:
    return lambda rows: write_detector(tmp_path / "detector.onnx", rows)
