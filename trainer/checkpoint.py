"""The state of a run on disk, written whole or not at all."""

import os
import pickle
import struct
from pathlib import Path
from typing import Any

import torch

from reid.errors import CheckpointError

# What torch raises for files that it did not write, or that were damaged since.
_UNREADABLE = (
    *(OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, AttributeError),
    *(pickle.UnpicklingError, struct.error),
)


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


def read_saved(path: Path) -> dict[str, Any]:
    """A dictionary that torch saved, on the processor wherever that was.

    Raises :class:`CheckpointError` when it is none.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise CheckpointError(f"{path}: not readable, expected what torch saved: {error}") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: expected a dictionary that torch saved, got a {type(state).__name__}")
    return state


def load_checkpoint(path: Path, recipe: dict[str, Any], data: str) -> dict[str, Any]:
    """Read a checkpoint of exactly this recipe and data, `data` being its sha256.

    Raises :class:`CheckpointError` when it cannot be read, is of other data, or names the fields in which the recipes
    differ.
    """
    state = read_saved(path)
    saved = state.get("recipe", {})
    if differing := sorted(field for field in recipe if saved.get(field) != recipe[field]):
        raise CheckpointError(
            f"{path} belongs to another recipe: "
            + ", ".join(f"{field} was {saved.get(field)!r}, now {recipe[field]!r}" for field in differing)
        )
    if state.get("data") != data:
        raise CheckpointError(
            f"{path} belongs to other data, or was written before checkpoints named theirs: "
            "expected the files and labels that it was trained on"
        )
    return state
