"""From JPEG files to unit vectors: ours, against what people would run instead, and against the bare network."""

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from reid import threads

threads.configure()

import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models, transforms

from benchmarks.harness import Row, compare, main
from benchmarks.torchreid_package import VERSION, installed_torchreid, load
from benchmarks.untrained import HEIGHT_PX, WIDTH_PX, untrained_resnet50
from reid.datasets.generated import generate_crops
from reid.predictors import Embedder
from reid.transforms import IMAGENET_MEAN, IMAGENET_STD

_LARGEST = 128
Files = Sequence[Path]


def rows() -> Iterator[Row]:
    """ResNet-50 at 256 × 128 of random weights, then the shipped `default`."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = _crops(folder)
        resnet50 = Embedder.load(untrained_resnet50(folder / "resnet50"))
        with installed_torchreid() as package:
            extractor = _torchreid_extractor(package)
            yield compare(
                "embedding resnet50 batch 32 vs torchreid extractor",
                lambda: _embed(resnet50, files[:32]),
                lambda: extractor([str(file) for file in files[:32]]),
                peer_name=f"FeatureExtractor of torchreid {VERSION}, fp32",
                per=32,
            )
        for batch in (1, 8, 32, _LARGEST):
            yield compare(
                f"embedding resnet50 batch {batch} vs torchvision",
                partial(_embed, resnet50, files[:batch]),
                partial(_TORCHVISION, files[:batch]),
                peer_name="torchvision's network and transforms, fp32",
                per=batch,
                pairs=5,
            )
        for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
            yield compare(
                f"embedding resnet50 batch 32 vs {name} product",
                lambda: _embed(resnet50, files[:32]),
                _product(32 * _operations(), dtype),
                peer_name=f"{name} matrix products of as many operations: what the processor can do",
                per=32,
            )
        default, by_torch = Embedder.load(), Embedder.load(device="cpu")
        yield compare(
            "embedding default batch 32 vs its network alone",
            lambda: _embed(default, files[:32]),
            _bare(default, 32),
            peer_name="the same network on pixels that are ready: the limit",
            per=32,
        )
        yield compare(
            "embedding default batch 32 vs torch",
            lambda: _embed(default, files[:32]),
            lambda: _embed(by_torch, files[:32]),
            peer_name="the same bundle by torch on the processor",
            per=32,
        )


def _crops(folder: Path) -> list[Path]:
    """JPEG files of drawn people, of Market-1501's size."""
    files = []
    for number, crop in enumerate(generate_crops(_LARGEST // 4, cameras=2, per_camera=2)):
        files.append(folder / f"{number:03d}.jpg")
        crop.image.save(files[-1], quality=95)
    return files


def _embed(embedder: Embedder, files: Files) -> object:
    return embedder.embed([file.read_bytes() for file in files])


def _bare(embedder: Embedder, batch: int) -> Callable[[], object]:
    size = (batch, 3, embedder.bundle.preprocess.height_px, embedder.bundle.preprocess.width_px)
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8))
    return lambda: embedder.embed_pixels(pixels)


def _operations() -> int:
    """Floating-point operations of a ResNet-50 for one crop, a multiplication and an addition being two."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        models.resnet50(weights=None).eval()(torch.zeros(1, 3, HEIGHT_PX, WIDTH_PX))
    operations: int = counter.get_total_flops()
    return operations


def _product(operations: int, dtype: torch.dtype) -> Callable[[], object]:
    """So many operations as one matrix product, square but for its height."""
    side = 2048
    height = round(operations / (2 * side * side))
    left, right = torch.ones(height, side, dtype=dtype), torch.ones(side, side, dtype=dtype)
    return lambda: left @ right


class _Torchvision:
    """What one writes after the documentation: PIL, `transforms`, one batch, the features before the classifier."""

    def __init__(self) -> None:
        self._network = models.resnet50(weights=None).eval()
        self._network.fc = torch.nn.Identity()
        to_input = [transforms.ToTensor(), transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
        self._prepare = transforms.Compose([transforms.Resize((HEIGHT_PX, WIDTH_PX)), *to_input])

    @torch.no_grad()
    def __call__(self, files: Files) -> object:
        return self._network(torch.stack([self._prepare(Image.open(file).convert("RGB")) for file in files]))


_TORCHVISION = _Torchvision()


def _torchreid_extractor(package: Path) -> Callable[[list[str]], object]:
    """torchreid's own FeatureExtractor and ResNet-50, whose files are loaded without the rest of the package."""
    network = load(package / "models" / "resnet.py")

    def build_model(_name: str, **options: Any) -> Any:
        return network.resnet50(**(options | {"pretrained": False}))

    utils, its_models = ModuleType("torchreid.reid.utils"), ModuleType("torchreid.reid.models")
    vars(utils).update(check_isfile=None, load_pretrained_weights=None, compute_model_complexity=None)
    vars(its_models).update(build_model=build_model)
    stand_ins = {"torchreid": ModuleType("torchreid"), "torchreid.reid": ModuleType("torchreid.reid")}
    sys.modules.update(stand_ins | {utils.__name__: utils, its_models.__name__: its_models})
    extractor: Callable[[list[str]], object] = load(package / "utils" / "feature_extractor.py").FeatureExtractor(
        "resnet50", image_size=(HEIGHT_PX, WIDTH_PX), device="cpu", verbose=False
    )
    return extractor


if __name__ == "__main__":
    main("embedding", rows)
