"""Bundles of random weights: real ones, of every kind, as small or as large as it takes."""

from pathlib import Path
from typing import Any

from torch import nn

from reid.bundle import Bundle, write_bundle


def write_untrained(folder: Path, kind: str, arguments: Any, network: nn.Module, preprocess: Any, **more: Any) -> Path:
    """Write the bundle of a network to `folder`, which gives it its name; `more` of its fields where it has them."""
    nothing = {"recipe": {}, "data_sha256": "", "code_commit": "", "metrics": {}, "calibration": None}
    description = Bundle(
        name=folder.name,
        kind=kind,
        network=arguments,
        preprocess=preprocess,
        licence="none: untrained",
        **nothing | more,
    )
    write_bundle(folder, network, description, f"# {folder.name}\n\nUntrained.\n")
    return folder
