from pathlib import Path

import pytest
import torch

from reid.bundle import load_network, read_bundle
from reid.errors import RecipeError
from reid.kinds import EMBEDDING
from reid.networks.embedding import EmbeddingArguments, EmbeddingNetwork
from trainer.initial_weights import load_initial_weights

TINY = EmbeddingArguments("resnet18", 1, "linear", 32)


def network(seed: int) -> EmbeddingNetwork:
    torch.manual_seed(seed)
    return EmbeddingNetwork(TINY)


def test_none_keeps_the_random_weights() -> None:
    fresh = network(1)
    load_initial_weights(fresh, "none", [])
    assert torch.equal(fresh.backbone.conv1.weight, network(1).backbone.conv1.weight)


def test_a_file_fills_the_backbone_and_leaves_the_neck(tmp_path: Path) -> None:
    """The file is torchvision's own form: a ResNet's state with its last layer."""
    source, fresh = network(2), network(1)
    state = source.backbone.state_dict() | {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    torch.save(state, tmp_path / "resnet18.pth")
    load_initial_weights(fresh, str(tmp_path / "resnet18.pth"), [])
    assert torch.equal(fresh.backbone.layer4[1].conv2.weight, source.backbone.layer4[1].conv2.weight)
    assert torch.equal(fresh.neck[0].weight, network(1).neck[0].weight)


def test_a_bundle_fills_everything(tiny_bundle: Path) -> None:
    fresh = network(1)
    load_initial_weights(fresh, str(tiny_bundle), [])
    expected = load_network(tiny_bundle, read_bundle(tiny_bundle, EMBEDDING), EMBEDDING).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in fresh.state_dict().items())


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    state = network(2).backbone.state_dict()
    del state["conv1.weight"]
    torch.save(state, tmp_path / "torn.pth")
    with pytest.raises(RecipeError, match=r"torn\.pth does not fit the network"):
        load_initial_weights(network(1), str(tmp_path / "torn.pth"), [])


def test_files_that_hold_no_tensors_by_name_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    for content in (b"", b"no weights", b"\x80\x02garbage"):
        file.write_bytes(content)
        with pytest.raises(RecipeError, match=r"initial_weights: .*weights\.pth: not readable"):
            load_initial_weights(network(1), str(file), [])
    torch.save([torch.ones(1)], file)
    with pytest.raises(RecipeError, match=r"weights\.pth: expected a dictionary that torch saved, got a list"):
        load_initial_weights(network(1), str(file), [])
    torch.save({"epoch": 3}, file)
    with pytest.raises(RecipeError, match=r"expected tensors by name in .*weights\.pth, got also 'epoch'"):
        load_initial_weights(network(1), str(file), [])


def test_sources_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"expected none, imagenet, timm:NAME, a \.pth file, a bundle folder or grown:FOLDER"
    ):
        load_initial_weights(network(1), str(tmp_path), [])
    with pytest.raises(RecipeError, match="a model that timm knows, got 'resnet-thirty'"):
        load_initial_weights(network(1), "timm:resnet-thirty", [])
