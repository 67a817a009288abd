from collections.abc import Callable
from pathlib import Path

import av
import pytest
import torch
from PIL import Image
from torch import nn

from reid.detection import load_detector
from reid.detection.boxes import Detection
from reid.detection.detectors import TorchvisionDetector
from reid.errors import DetectorError
from tests.detection.conftest import Rows, write_detector

FRAME = Image.new("RGB", (200, 100))


def test_a_file_gives_people_in_pixels_inside_the_frame_best_first(detector_file: Callable[[Rows], Path]) -> None:
    rows = [
        (0, 1, 0.6, 0.1, 0.2, 0.3, 0.8),
        (0, 1, 0.9, -0.5, 0.5, 0.5, 1.5),  # reaches out of the frame
        (0, 2, 0.99, 0.1, 0.1, 0.5, 0.5),  # not a person
        (0, 1, 0.4, 0.1, 0.1, 0.5, 0.5),  # too unsure
        (0, 1, 0.9, 1.1, 0.1, 1.5, 0.5),  # outside
        (-1, 0, 0, 0, 0, 0, 0),  # the end of the list
    ]
    found = load_detector(str(detector_file(rows))).detect(FRAME)
    assert [one.box_xyxy for one in found] == [(0, 50, 100, 100), pytest.approx((20, 20, 60, 80))]
    assert [one.score for one in found] == pytest.approx([0.9, 0.6])


@pytest.mark.parametrize("name", ["nothing.onnx", "detector.txt", "torchvision:resnet50", ""])
def test_what_is_no_detector_is_refused(name: str) -> None:
    with pytest.raises(DetectorError, match="expected a detector"):
        load_detector(name)


def test_a_network_of_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match=r"expected \(1, 3, H, W\) → \(…, 7\), got \[1, 3, 8, 8\] → \[1, 1, 1, 2\]"):
        load_detector(str(write_detector(tmp_path / "other.onnx", [(0, 1)], (1, 3, 8, 8))))  # type: ignore[list-item]
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    with pytest.raises(DetectorError, match="expected a network that OpenVINO reads"):
        load_detector(str(tmp_path / "broken.onnx"))


class _Found(nn.Module):
    def forward(self, images: list[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        assert images[0].shape == (3, 100, 200)
        boxes = torch.tensor([[0.0, 0.0, 10.0, 20.0], [5.0, 5.0, 50.0, 50.0], [0.0, 0.0, 9.0, 9.0]])
        return [{"boxes": boxes, "labels": torch.tensor([1, 1, 3]), "scores": torch.tensor([0.6, 0.7, 0.9])}]


def test_torchvisions_people_are_told_by_their_label() -> None:
    found = TorchvisionDetector(_Found(), 1, 0.5, torch.device("cpu")).detect(FRAME)
    assert [one.box_xyxy for one in found] == [(5, 5, 50, 50), (0, 0, 10, 20)]


def test_a_real_detector_finds_the_people_of_a_street(datasets: Path, person_detector: Path) -> None:
    with av.open(str(datasets / "video" / "vtest.avi")) as video:
        frame = next(video.decode(video=0)).to_image()
    found: list[Detection] = load_detector(str(person_detector)).detect(frame)
    assert 3 <= len(found) <= 15
    for one in found:
        left, top, right, bottom = one.box_xyxy
        assert bottom - top > right - left  # people stand
