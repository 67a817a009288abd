"""What takes minutes to compute before the first step, kept in a folder by all that it depends on."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import torch


def computed_once(
    store: Path | None, depends_on: Callable[[], Mapping[str, object]], compute: Callable[[], torch.Tensor]
) -> torch.Tensor:
    """What `compute` gives; with a folder `store`, from there where it is known for the very same JSON `depends_on`."""
    if store is None:
        return compute()
    key = hashlib.sha256(json.dumps(depends_on(), sort_keys=True).encode()).hexdigest()
    file = store / f"{key}.pt"
    if not file.exists():
        computed = compute()
        store.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(f".{os.getpid()}.new")  # of each process its own: they may compute the same
        torch.save(computed, temporary)
        temporary.replace(file)
    kept: torch.Tensor = torch.load(file, weights_only=True, mmap=True)
    return kept
