"""Networks that find people in a frame: torchvision's COCO detectors, or an SSD in a file of OpenVINO or ONNX."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import nn
from torchvision.models import detection as torchvision_detectors
from torchvision.models import get_model, get_model_weights, list_models

from reid.detection.boxes import Detection
from reid.errors import DetectorError

_TORCHVISION = "torchvision:"
_SSD_ROW = 7  # image, label, score, and the box as shares of width and height
_SSD_PERSON = 1


class Detector(Protocol):
    """Finds people."""

    def detect(self, frame: Image.Image) -> list[Detection]:
        """The people in an RGB frame, best score first; boxes lie inside the frame and hold a pixel."""
        ...


def load_detector(name: str, *, min_score: float = 0.5, device: str = "cpu") -> Detector:
    """The detector of a file (`.xml` of OpenVINO or `.onnx`), or of `torchvision:NAME`, whose weights are downloaded.

    Raises :class:`DetectorError` for anything else, or for a file that is no SSD-style detector.
    """
    if name.startswith(_TORCHVISION):
        return TorchvisionDetector(*_torchvision(name.removeprefix(_TORCHVISION)), min_score, torch.device(device))
    path = Path(name)
    if path.suffix in (".xml", ".onnx") and path.is_file():
        return SsdDetector(path, min_score)
    raise DetectorError(f"expected a detector's .xml or .onnx file, or {_TORCHVISION}NAME, got {name!r}")


class SsdDetector:
    """A network in a file that takes one BGR frame, 0–255, and gives rows of image, label, score and box.

    The Open Model Zoo's form: input (1, 3, H, W), output (…, 7), overlapping boxes already suppressed, 1 the label of a
    person.
    """

    def __init__(self, file: Path, min_score: float = 0.5) -> None:
        """Raise :class:`DetectorError` for a file that cannot be read or has another form."""
        try:
            import openvino
        except ImportError as error:
            raise DetectorError(
                "expected OpenVINO for a detector in a file: pip install 'reid-service[openvino]'"
            ) from error
        try:
            self._run = openvino.Core().compile_model(file, "CPU")
        except RuntimeError as error:
            raise DetectorError(f"{file}: expected a network that OpenVINO reads, got: {_first_line(error)}") from error
        shapes = [list(port.partial_shape.to_shape()) for port in (self._run.inputs[0], self._run.outputs[0])]
        if len(shapes[0]) != 4 or shapes[0][:2] != [1, 3] or shapes[1][-1] != _SSD_ROW:
            raise DetectorError(f"{file}: expected (1, 3, H, W) → (…, {_SSD_ROW}), got {shapes[0]} → {shapes[1]}")
        self._height, self._width = shapes[0][2:]
        self._min_score = min_score

    def detect(self, frame: Image.Image) -> list[Detection]:
        """As :meth:`Detector.detect`."""
        resized = frame.resize((self._width, self._height), Image.Resampling.BILINEAR)
        bgr = np.asarray(resized, dtype=np.float32)[..., ::-1].transpose(2, 0, 1)
        rows = self._run([np.ascontiguousarray(bgr)[None]])[0].reshape(-1, _SSD_ROW)
        people = rows[(rows[:, 0] >= 0) & (rows[:, 1] == _SSD_PERSON)]
        sides = np.array([frame.width, frame.height] * 2)
        return _inside(frame, people[:, 3:] * sides, people[:, 2], self._min_score)


class TorchvisionDetector:
    """A detector of `torchvision.models.detection`: images in [0, 1] → dictionaries of boxes, labels and scores."""

    def __init__(self, model: nn.Module, person: int, min_score: float, device: torch.device) -> None:
        self._model = model.eval().to(device)
        self._person, self._min_score, self._device = person, min_score, device

    @torch.inference_mode()
    def detect(self, frame: Image.Image) -> list[Detection]:
        """As :meth:`Detector.detect`."""
        pixels = torch.from_numpy(np.array(frame)).permute(2, 0, 1).to(self._device).float() / 255
        (found,) = self._model([pixels])
        people = found["labels"] == self._person
        boxes, scores = (found[name][people].cpu().numpy() for name in ("boxes", "scores"))
        return _inside(frame, boxes, scores, self._min_score)


def _torchvision(name: str) -> tuple[nn.Module, int]:
    known = list_models(module=torchvision_detectors)
    if name not in known:
        raise DetectorError(f"expected a detector of {known}, got {name!r}")
    weights = get_model_weights(name).DEFAULT
    return get_model(name, weights=weights), weights.meta["categories"].index("person")


def _inside(frame: Image.Image, boxes: Any, scores: Any, min_score: float) -> list[Detection]:
    """Boxes (N, 4) cut to the frame, those that keep a pixel and a score (N,), best first."""
    found = []
    for (left, top, right, bottom), score in zip(boxes.tolist(), scores.tolist(), strict=True):
        box = (max(0.0, left), max(0.0, top), min(float(frame.width), right), min(float(frame.height), bottom))
        if score >= min_score and box[2] - box[0] >= 1 and box[3] - box[1] >= 1:
            found.append(Detection(box, score))
    return sorted(found, key=lambda detection: -detection.score)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), "nothing said")
