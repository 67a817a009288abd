"""A finished run → a bundle that is evaluated, calibrated and described."""

import dataclasses
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import torch

from reid.bundle import Bundle, move_bundle, write_bundle, write_description
from reid.datasets.crop import Crop
from reid.networks.embedding import EmbeddingNetwork
from reid.predictors import Embedder
from trainer.card import card
from trainer.evaluation import evaluate_split
from trainer.loop import Outcome
from trainer.protocol import Protocol
from trainer.recipes import Recipe
from trainer.training_data import TrainingData


@dataclasses.dataclass(frozen=True)
class Origin:
    """What only the person who trains knows: the data's terms, and what a card should add."""

    licence: str
    command: str
    notes: str = ""


def export_bundle(
    folder: Path,
    network: EmbeddingNetwork,
    recipe: Recipe,
    outcome: Outcome,
    data: TrainingData,
    origin: Origin,
    device: torch.device,
) -> Bundle:
    """Write the bundle to `folder` and return it.

    It is evaluated as a bundle, read back from its own half-precision file, and only a complete one takes the place.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        draft = Path(temporary) / folder.name
        plain = write_bundle(draft, network, _description(recipe, data, origin), card="")
        evaluation = evaluate_split(Embedder.load(draft, str(device)), data.test, Protocol())
        bundle = dataclasses.replace(
            plain, metrics=evaluation.figures(), calibration=evaluation.calibration(data.test.domain)
        )
        text = card(
            bundle,
            outcome,
            command=origin.command,
            notes=origin.notes,
            images_per_second=evaluation.images_per_second,
        )
        write_description(draft, bundle)
        (draft / "card.md").write_text(text)
        move_bundle(draft, folder)
    return bundle


def data_sha256(crops: Iterable[Crop]) -> str:
    """Hex sha256 over names and contents of the training crops: which data made these weights."""
    digest = hashlib.sha256()
    for crop in crops:
        digest.update(crop.path.name.encode() + b"\0" + hashlib.sha256(crop.path.read_bytes()).digest())
    return digest.hexdigest()


def _description(recipe: Recipe, data: TrainingData, origin: Origin) -> Bundle:
    return Bundle(
        name=recipe.name,
        network=recipe.network,
        preprocess=recipe.preprocess(recipe.epochs - 1),
        licence=origin.licence,
        recipe=dataclasses.asdict(recipe) | {"teacher": Path(recipe.teacher).name},
        data_sha256=data_sha256(data.crops),
        code_commit=_code_commit(),
        metrics={},
        calibration=None,
    )


def _code_commit() -> str:
    """The commit that this code was run from, `+` after it when the tree had changes; `unknown` without git."""
    if shutil.which("git") is None:
        return "unknown"
    git = ["git", "-C", str(Path(__file__).parent)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if head.returncode != 0:
        return "unknown"
    changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True)
    return head.stdout.strip() + ("+" if changes.stdout else "")
