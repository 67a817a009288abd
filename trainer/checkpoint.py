"""The state of a run on disk, written whole or not at all."""

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from reid.errors import CheckpointError

UNREADABLE = (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError)
"""What torch raises for a file that is none of its own."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write beside `path`, flush to disk, then replace: a crash or a full disk leaves the last good one intact."""
    temporary = path.with_suffix(".new")
    try:
        with temporary.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:  # torch turns a failed write into the latter
        temporary.unlink(missing_ok=True)
        raise CheckpointError(f"could not write {path}: {error}; the last checkpoint is untouched") from error
    temporary.replace(path)


def load_checkpoint(path: Path, recipe: dict[str, Any], data: str) -> dict[str, Any]:
    """Read a checkpoint of exactly this recipe and data, `data` being its sha256.

    Raises :class:`CheckpointError` when it cannot be read, is of other data, or names the fields in which the recipes
    differ.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise CheckpointError(f"{path}: not a readable checkpoint: {error}") from error
    saved = state["recipe"]
    if differing := sorted(field for field in recipe if saved.get(field) != recipe[field]):
        raise CheckpointError(
            f"{path} belongs to another recipe: "
            + ", ".join(f"{field} was {saved.get(field)!r}, now {recipe[field]!r}" for field in differing)
        )
    if state.get("data") != data:
        raise CheckpointError(f"{path} belongs to other data: expected the files that it was trained on, got others")
    return state
