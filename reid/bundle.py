"""A model on disk: weights and everything needed to use them.

A bundle is a folder with three files: `bundle.json` (what it is), `weights.safetensors` (half precision) and
`card.md` (for people). Reading is strict: a missing, extra or misshapen tensor, an unknown field or a wrong hash
is a :class:`BundleError` that names it, because a service on the wrong weights gives *plausible* answers.
"""

import dataclasses
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from reid.errors import BundleError, WeightsError
from reid.evaluation.calibration import Calibration

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FORMAT_VERSION = 2
SHIPPED = Path(__file__).parent / "bundles"
_FILES = ("bundle.json", "weights.safetensors", "card.md")

Arguments = TypeVar("Arguments", bound="DataclassInstance")
Preprocess = TypeVar("Preprocess", bound="DataclassInstance")
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Kind(Generic[Arguments, Preprocess, Network]):
    """What a kind of bundle is made of; `name` is the one in `bundle.json`. The kinds there are: :mod:`reid.kinds`."""

    name: str
    arguments: type[Arguments]
    preprocess: type[Preprocess]
    network: Callable[[Arguments], Network]


@dataclass(frozen=True)
class Bundle(Generic[Arguments, Preprocess]):
    """What `bundle.json` says. `id` is the sha256 of weights, network and preprocessing.

    `labels` are what a classifier tells apart, in the order of its outputs; an embedding has none. `metrics` maps a
    figure's name to its value beside the `protocol` it was measured under; `calibration` is of the bundle's own test
    domain, or None. What changes an answer changes the id; a calibration or a card does not.
    """

    name: str
    network: Arguments
    preprocess: Preprocess
    licence: str
    recipe: dict[str, Any]
    data_sha256: str
    code_commit: str
    metrics: dict[str, Any]
    calibration: Calibration | None
    kind: str
    labels: tuple[str, ...] = ()
    format_version: int = FORMAT_VERSION
    id: str = ""  # known once the weights are written


def bundle_folder(name_or_path: str | Path | None) -> Path:
    """The folder meant by a path, the name of a shipped bundle, or None (the shipped default).

    Raises :class:`BundleError` when it is neither a folder nor the name of a shipped bundle.
    """
    if name_or_path is None:
        return SHIPPED / "default"
    given = Path(name_or_path)
    for candidate in (SHIPPED / given, given):
        if (candidate / "bundle.json").is_file():
            return candidate
    shipped = sorted(folder.name for folder in SHIPPED.glob("*/") if (folder / "bundle.json").is_file())
    raise BundleError(
        f"expected a bundle folder (with {', '.join(_FILES)}) or one of the shipped {shipped}, got {str(given)!r}"
    )


def bundle_kind(folder: Path) -> str:
    """The kind that `bundle.json` names; nothing else is read. Raises :class:`BundleError`."""
    return str(_raw(folder)["kind"])


def read_bundle(folder: Path, kind: Kind[Arguments, Preprocess, Any]) -> Bundle[Arguments, Preprocess]:
    """Read and verify the description of a bundle of this kind; the weights are hashed, not loaded.

    Raises :class:`BundleError`.
    """
    for name in _FILES:
        if not (folder / name).is_file():
            raise BundleError(f"{folder}: expected the file {name}, which is missing")
    bundle = _from_json(folder, kind)
    expected = bundle_id(folder / "weights.safetensors", bundle.network, bundle.preprocess, bundle.labels)
    if bundle.id != expected:
        raise BundleError(f"{folder}: bundle.json says id {bundle.id}, its content has {expected}: it was altered")
    return bundle


def load_network(
    folder: Path, bundle: Bundle[Arguments, Preprocess], kind: Kind[Arguments, Preprocess, Network]
) -> Network:
    """Build the bundle's network and fill it, in float32 and evaluation mode. Raises :class:`BundleError`."""
    network = kind.network(bundle.network)
    try:
        tensors = load_file(folder / "weights.safetensors")
    except SafetensorError as error:
        raise BundleError(f"{folder / 'weights.safetensors'}: not a readable safetensors file: {error}") from error
    _check_tensors(folder, tensors, network)
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()} | _counters(network))
    return network.eval()


def write_bundle(
    folder: Path, module: nn.Module, description: Bundle[Arguments, Preprocess], card: str
) -> Bundle[Arguments, Preprocess]:
    """Write a complete bundle to `folder`, whole or not at all, and return it.

    The returned bundle is `description` with the id that its content has. An existing bundle at that place is replaced.
    Raises :class:`~reid.errors.WeightsError` for weights that half precision cannot hold.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        draft = Path(temporary) / folder.name
        draft.mkdir()
        save_file(_half_tensors(module), draft / "weights.safetensors")
        identity = bundle_id(
            draft / "weights.safetensors", description.network, description.preprocess, description.labels
        )
        bundle = dataclasses.replace(description, id=identity)
        write_description(draft, bundle)
        (draft / "card.md").write_text(card)
        move_bundle(draft, folder)
    return bundle


def move_bundle(draft: Path, folder: Path) -> None:
    """Put a finished draft in place of what is at `folder`. Raises :class:`BundleError` if that is no bundle."""
    if not folder.exists():
        draft.rename(folder)
        return
    if not (folder / "bundle.json").is_file():
        raise BundleError(f"expected a bundle to replace or nothing at {folder}, got something else")
    replaced = draft.with_name(folder.name + ".replaced")
    folder.rename(replaced)
    draft.rename(folder)
    shutil.rmtree(replaced)


def write_description(folder: Path, bundle: Bundle[Any, Any]) -> None:
    """Write `bundle.json` alone: for a new calibration or new metrics of the same weights."""
    description = dataclasses.asdict(bundle)
    description["calibration"] = None if bundle.calibration is None else bundle.calibration.to_json()
    temporary = folder / "bundle.json.new"
    temporary.write_text(json.dumps(description, indent=1) + "\n")
    temporary.replace(folder / "bundle.json")


def bundle_id(
    weights: Path, network: "DataclassInstance", preprocess: "DataclassInstance", labels: tuple[str, ...] = ()
) -> str:
    """Hex sha256 over the weights file, the network's arguments, the preprocessing and the labels if there are any."""
    digest = hashlib.sha256(weights.read_bytes())
    for part in (network, preprocess):
        digest.update(json.dumps(dataclasses.asdict(part), sort_keys=True).encode())
    if labels:
        digest.update(json.dumps(labels).encode())
    return digest.hexdigest()


def _raw(folder: Path) -> dict[str, Any]:
    try:
        raw: dict[str, Any] = json.loads((folder / "bundle.json").read_text())
    except (ValueError, OSError) as error:
        raise BundleError(f"{folder / 'bundle.json'}: expected JSON, got {error}") from error
    _check_fields(folder, raw)
    return raw


def _from_json(folder: Path, kind: Kind[Arguments, Preprocess, Any]) -> Bundle[Arguments, Preprocess]:
    raw = _raw(folder)
    if raw["kind"] != kind.name:
        raise BundleError(f"{folder}: expected kind {kind.name!r}, got {raw['kind']!r}")
    try:
        network = kind.arguments(**_with_tuples(raw["network"]))
        preprocess = kind.preprocess(**_with_tuples(raw["preprocess"]))
        calibration = None if raw["calibration"] is None else Calibration.from_json(raw["calibration"])
    except (TypeError, ValueError, KeyError) as error:
        raise BundleError(f"{folder / 'bundle.json'}: {error}") from error
    return Bundle(**_with_tuples(raw) | {"network": network, "preprocess": preprocess, "calibration": calibration})


def _with_tuples(fields: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists only; what is frozen holds tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


def _check_fields(folder: Path, raw: Any) -> None:
    if not isinstance(raw, dict):
        raise BundleError(f"{folder / 'bundle.json'}: expected an object, got {type(raw).__name__}")
    known = {field.name for field in dataclasses.fields(Bundle)}
    if unknown := raw.keys() - known:
        raise BundleError(f"{folder / 'bundle.json'}: unknown fields {sorted(unknown)}")
    if missing := known - raw.keys():
        raise BundleError(f"{folder / 'bundle.json'}: missing fields {sorted(missing)}")
    if raw["format_version"] != FORMAT_VERSION:
        raise BundleError(f"{folder}: expected format_version {FORMAT_VERSION}, got {raw['format_version']}")


def _half_tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    """Raise :class:`WeightsError` for what half precision cannot hold."""
    state = network.state_dict()
    half = {name: tensor.half().contiguous() for name, tensor in state.items() if not _is_counter(name)}
    if beyond := [name for name, tensor in half.items() if not tensor.isfinite().all()]:
        raise WeightsError(f"expected weights that are finite in half precision, but {beyond[0]} is not")
    return half


def _is_counter(name: str) -> bool:
    """Batch norm's `num_batches_tracked` says nothing about an answer and is not kept."""
    return name.endswith("num_batches_tracked")


def _counters(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in network.state_dict().items() if _is_counter(name)}


def _check_tensors(folder: Path, tensors: dict[str, torch.Tensor], network: nn.Module) -> None:
    expected = {name: tensor.shape for name, tensor in network.state_dict().items() if not _is_counter(name)}
    if missing := expected.keys() - tensors.keys():
        raise BundleError(f"{folder}: weights lack the tensors {sorted(missing)[:3]} ({len(missing)} in all)")
    if extra := tensors.keys() - expected.keys():
        raise BundleError(f"{folder}: weights hold unknown tensors {sorted(extra)[:3]} ({len(extra)} in all)")
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            raise BundleError(f"{folder}: expected {name} of shape {tuple(shape)}, got {tuple(tensors[name].shape)}")
        if not tensors[name].isfinite().all():
            raise BundleError(f"{folder}: expected finite weights, but {name} holds inf or nan")
