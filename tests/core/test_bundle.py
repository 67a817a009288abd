import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from reid.bundle import (
    bundle_folder,
    bundle_id,
    bundle_kind,
    load_network,
    read_bundle,
    write_bundle,
    write_description,
)
from reid.errors import BundleError, WeightsError
from reid.kinds import EMBEDDING
from reid.predictors import Embedder


@pytest.fixture
def bundle_copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_bundle, copy)
    return copy


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def replace_tensors(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    save_file(tensors, folder / "weights.safetensors")


def test_what_was_written_is_read_back(tiny_bundle: Path) -> None:
    bundle = read_bundle(tiny_bundle, EMBEDDING)
    network = load_network(tiny_bundle, bundle, EMBEDDING)
    assert (bundle.name, bundle.kind, bundle.network.embedding_size) == ("tiny", "embedding", 32)
    stored = load_file(tiny_bundle / "weights.safetensors")
    assert all(tensor.dtype == torch.float16 for tensor in stored.values())
    state = network.state_dict()
    assert all(torch.equal(state[name], tensor.float()) for name, tensor in stored.items())


def test_weights_that_half_precision_cannot_hold_make_no_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = read_bundle(tiny_bundle, EMBEDDING)
    network = load_network(tiny_bundle, bundle, EMBEDDING)
    with torch.no_grad():
        network.neck[1].running_var[3] = 1e6
    with pytest.raises(WeightsError, match=r"finite in half precision, but neck\.1\.running_var is not"):
        write_bundle(tmp_path / "new", network, bundle, card="")
    assert list(tmp_path.iterdir()) == []


def test_a_new_calibration_or_card_keeps_the_id_and_new_weights_do_not(bundle_copy: Path) -> None:
    before = read_bundle(bundle_copy, EMBEDDING)
    edit(bundle_copy, calibration=None, metrics={"rank_1": 0.5})
    (bundle_copy / "card.md").write_text("another card")
    assert read_bundle(bundle_copy, EMBEDDING).id == before.id
    tensors = load_file(bundle_copy / "weights.safetensors")
    tensors["neck.0.bias"] += 1
    replace_tensors(bundle_copy, tensors)
    with pytest.raises(BundleError, match=f"says id {before.id}, its content has"):
        read_bundle(bundle_copy, EMBEDDING)


def test_other_preprocessing_is_another_bundle(bundle_copy: Path) -> None:
    preprocess = json.loads((bundle_copy / "bundle.json").read_text())["preprocess"]
    edit(bundle_copy, preprocess=preprocess | {"flip_average": False})
    with pytest.raises(BundleError, match="it was altered"):
        read_bundle(bundle_copy, EMBEDDING)


@pytest.mark.parametrize("name", ["bundle.json", "weights.safetensors", "card.md"])
def test_a_missing_file_is_named(bundle_copy: Path, name: str) -> None:
    (bundle_copy / name).unlink()
    with pytest.raises(BundleError, match=f"expected the file {name}, which is missing"):
        read_bundle(bundle_copy, EMBEDDING)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"licnce": "MIT"}, r"unknown fields \['licnce'\]"),
        ({"format_version": 1}, "expected format_version 2, got 1"),
        ({"kind": "action"}, "expected kind 'embedding', got 'action'"),
        ({"network": {"backbone": "vit"}}, "expected a backbone of"),
        ({"network": {"depth": 3}}, "unexpected keyword argument 'depth'"),
        ({"preprocess": {"height_px": 0, "width_px": 1, "mean": [0, 0, 0], "std": [1, 1, 1]}}, "at least 1×1 px"),
        ({"calibration": {"domain": "x"}}, "scores"),
        ({"id": 7}, "says id 7"),
    ],
)
def test_a_wrong_description_is_refused(bundle_copy: Path, changes: dict[str, Any], message: str) -> None:
    edit(bundle_copy, **changes)
    with pytest.raises(BundleError, match=message):
        read_bundle(bundle_copy, EMBEDDING)


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_description_that_is_no_json_object_is_refused(bundle_copy: Path, text: str) -> None:
    (bundle_copy / "bundle.json").write_text(text)
    with pytest.raises(BundleError, match=r"expected (JSON|an object)"):
        read_bundle(bundle_copy, EMBEDDING)


def test_a_missing_field_is_named(bundle_copy: Path) -> None:
    path = bundle_copy / "bundle.json"
    raw = json.loads(path.read_text())
    del raw["licence"]
    path.write_text(json.dumps(raw))
    with pytest.raises(BundleError, match=r"missing fields \['licence'\]"):
        read_bundle(bundle_copy, EMBEDDING)


def test_tensors_must_fit_exactly(bundle_copy: Path) -> None:
    bundle = read_bundle(bundle_copy, EMBEDDING)
    good = load_file(bundle_copy / "weights.safetensors")
    cases = {
        "lack the tensors .*neck.0.weight": {k: v for k, v in good.items() if k != "neck.0.weight"},
        "unknown tensors .*extra": good | {"extra": torch.zeros(1)},
        r"neck.0.bias of shape \(32,\), got \(31,\)": good | {"neck.0.bias": torch.zeros(31)},
        "finite weights, but neck.0.bias holds": good | {"neck.0.bias": torch.full((32,), torch.nan)},
    }
    for message, tensors in cases.items():
        replace_tensors(bundle_copy, tensors)
        with pytest.raises(BundleError, match=message):
            load_network(bundle_copy, bundle, EMBEDDING)


@pytest.mark.parametrize("keep_bytes", [0, 7, 100, 100_000])
def test_torn_weights_are_refused(bundle_copy: Path, keep_bytes: int) -> None:
    bundle = read_bundle(bundle_copy, EMBEDDING)
    weights = bundle_copy / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep_bytes])
    with pytest.raises(BundleError, match="says id"):
        read_bundle(bundle_copy, EMBEDDING)
    with pytest.raises(BundleError, match="not a readable safetensors file"):
        load_network(bundle_copy, bundle, EMBEDDING)


def test_a_bundle_is_never_half_replaced(bundle_copy: Path) -> None:
    """Writing over a folder that is not a bundle is refused and leaves everything as it was."""
    bundle = read_bundle(bundle_copy, EMBEDDING)
    (bundle_copy / "bundle.json").unlink()
    before = sorted(path.name for path in bundle_copy.iterdir())
    with pytest.raises(BundleError, match="expected a bundle to replace or nothing"):
        write_bundle(bundle_copy, torch.nn.Linear(2, 2), bundle, "card")
    assert sorted(path.name for path in bundle_copy.iterdir()) == before
    assert [path.name for path in bundle_copy.parent.iterdir()] == ["copy"]


def test_a_description_can_be_written_anew(bundle_copy: Path) -> None:
    bundle = read_bundle(bundle_copy, EMBEDDING)
    write_description(bundle_copy, bundle)
    assert read_bundle(bundle_copy, EMBEDDING) == bundle


def test_a_name_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"expected a bundle folder .* or one of the shipped"):
        bundle_folder(tmp_path)
    with pytest.raises(BundleError, match="got 'no-such'"):
        Embedder.load("no-such")


def test_labels_are_part_of_what_a_bundle_is(bundle_copy: Path, tiny_bundle: Path) -> None:
    bundle = read_bundle(bundle_copy, EMBEDDING)
    weights = tiny_bundle / "weights.safetensors"
    ids = {bundle_id(weights, bundle.network, bundle.preprocess, labels) for labels in ((), ("a", "b"), ("b", "a"))}
    assert len(ids) == 3
    edit(bundle_copy, labels=["a", "b"])
    with pytest.raises(BundleError, match="it was altered"):
        read_bundle(bundle_copy, EMBEDDING)


def test_the_kind_is_read_without_the_weights(bundle_copy: Path) -> None:
    (bundle_copy / "weights.safetensors").unlink()
    assert bundle_kind(bundle_copy) == "embedding"
