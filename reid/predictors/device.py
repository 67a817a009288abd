"""Which device a bundle runs on."""

import re

import torch


def resolve_device(device: str) -> torch.device:
    """`auto`, `cpu`, `cuda` or `cuda:N` → a device that is there. Raises ``ValueError`` when it is not."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    match = re.fullmatch(r"cpu|cuda(?::(\d+))?", device)
    if match is None:
        raise ValueError(f"expected a device of auto, cpu, cuda or cuda:N, got {device!r}")
    if device != "cpu" and int(match[1] or 0) >= torch.cuda.device_count():
        raise ValueError(f"expected a GPU for the device {device!r}, but torch finds {torch.cuda.device_count()}")
    return torch.device(device)
