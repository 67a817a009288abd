"""What every bundle says of its making."""

import dataclasses
import hashlib
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class Origin:
    """What only the person who trains knows: the data's terms, and what a card should add."""

    licence: str
    command: str
    notes: str = ""


def data_sha256(files: Iterable[Path]) -> str:
    """Hex sha256 over names and contents of the training files: which data made these weights."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def labelled_sha256(files: Iterable[Path], labels: NDArray[np.int64]) -> str:
    """Hex sha256 over the training files and what each is said to show."""
    return hashlib.sha256(data_sha256(files).encode() + labels.tobytes()).hexdigest()


def code_commit() -> str:
    """The commit that this code was run from, `+` after it when the tree had changes; `unknown` without git."""
    if shutil.which("git") is None:
        return "unknown"
    git = ["git", "-C", str(Path(__file__).parent)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if head.returncode != 0:
        return "unknown"
    changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True)
    return head.stdout.strip() + ("+" if changes.stdout else "")
