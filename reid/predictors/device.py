"""Which device a bundle runs on."""

import re
from importlib.util import find_spec

import torch

OPENVINO = "openvino"
_HAS_OPENVINO = find_spec(OPENVINO) is not None


def runs_on_openvino(device: str) -> bool:
    """Whether crops and frames are OpenVINO's to see: where that was said, and by `auto` where it is and no GPU is."""
    return device == OPENVINO or (device == "auto" and _HAS_OPENVINO and not torch.cuda.is_available())


def resolve_device(device: str) -> torch.device:
    """`auto`, `cpu`, `cuda`, `cuda:N` or `openvino` → torch's device, which is there: for OpenVINO it is `cpu`.

    Raises ``ValueError`` when it is not.
    """
    if device == OPENVINO:
        if not _HAS_OPENVINO:
            raise ValueError("expected OpenVINO for the device 'openvino': pip install 'reid-service[openvino]'")
        return torch.device("cpu")
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    match = re.fullmatch(r"cpu|cuda(?::(\d+))?", device)
    if match is None:
        raise ValueError(f"expected a device of auto, cpu, cuda, cuda:N or openvino, got {device!r}")
    if device != "cpu" and int(match[1] or 0) >= torch.cuda.device_count():
        raise ValueError(f"expected a GPU for the device {device!r}, but torch finds {torch.cuda.device_count()}")
    return torch.device(device)


def served_on(device: torch.device) -> str:
    """The word by which a service would load a bundle that was trained on this device: a processor is `auto`'s."""
    return "auto" if device.type == "cpu" and not torch.cuda.is_available() else str(device)


def moved(pixels: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The same on that device; to a GPU from pinned memory, so that nobody waits until they are there."""
    if device.type != "cuda":
        return pixels.to(device)
    return pixels.pin_memory().to(device, non_blocking=True)
