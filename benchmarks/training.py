"""One training step of each kind of image network: ours, against the loop that most people write first."""

import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from reid import threads

threads.configure()

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torchvision import transforms

from benchmarks.harness import Row, compare, main
from reid.datasets.classes import LabelledFiles, read_classes
from reid.datasets.generated import write_market_folder
from reid.datasets.market1501 import read_market1501
from reid.networks.classifier import ClassifierNetwork
from reid.transforms import IMAGENET_MEAN, IMAGENET_STD
from trainer.distributed import World
from trainer.folds import parts_of
from trainer.loop import Batch
from trainer.recipes.classifiers import HAND_SIGNS, SUNGLASSES, ClassifierRecipe
from trainer.recipes.reid import BASELINE
from trainer.recipes.run import RunRecipe
from trainer.tasks.classifiers import ClassifierTask
from trainer.tasks.reid import IdentityModel, ReidTask

_PEER = "PIL one image at a time, fp32"
_RECIPE = dataclasses.replace(BASELINE, sizes=((0, 128, 64),), initial_weights="none", batch_size=32)
_LABELS = 10
_IMAGES_EACH = 60
_IMAGENET = transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD)


def rows() -> Iterator[Row]:
    """Both steps: read a batch, augment, forward, loss, backward, step; the same network, optimiser and images."""
    with tempfile.TemporaryDirectory() as folder:
        write_market_folder(Path(folder), train_people=16, test_people=2, cameras=2, per_camera=2)
        crops = read_market1501(Path(folder)).train
        pids = [crop.pid - 1 for crop in crops]
        yield compare(
            "training resnet50 128x64 vs plain loop",
            _our_step(ReidTask(crops, _RECIPE, torch.device("cpu")), _RECIPE),
            _plain_step(
                IdentityModel(_RECIPE, len(set(pids))),
                _crop_transform(),
                [crop.path for crop in crops],
                pids,
                _RECIPE,
            ),
            peer_name=_PEER,
            pairs=5,
            per=_RECIPE.batch_size,
        )
    for recipe, name, transform in (
        (HAND_SIGNS, "mobilenet_v3_large 96x96", _hand_transform(HAND_SIGNS)),
        (SUNGLASSES, "conv_nn_1 30x32", _face_transform(SUNGLASSES)),
    ):
        with tempfile.TemporaryDirectory() as folder:
            images = _labelled_images(Path(folder))
            network = ClassifierNetwork(recipe.network(len(images.label_names)))
            yield compare(
                f"training {name} vs plain loop",
                _our_step(ClassifierTask(images, parts_of(images, recipe), recipe, torch.device("cpu")), recipe),
                _plain_step(network, transform, images.paths, images.labels.tolist(), recipe),
                peer_name=_PEER,
                per=recipe.batch_size,
            )


def _labelled_images(folder: Path) -> LabelledFiles:
    """Photographs of the hand-sign digits' own size, of noise."""
    noise = np.random.default_rng(0)
    for number in range(_LABELS * _IMAGES_EACH):
        path = folder / str(number % _LABELS) / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(noise.integers(0, 255, (100, 100, 3), dtype=np.uint8)).save(path)
    return read_classes(folder)


def _our_step(task: ReidTask | ClassifierTask, recipe: RunRecipe) -> Callable[[], None]:
    optimiser = _optimiser(recipe, task.parameter_groups(), fused=True)
    batches = _endless(task)

    def step() -> None:
        batch = next(batches)
        with task.precision.autocast(task.device):
            outputs = task.model(batch.inputs)
        loss = task.loss(tuple(output.float() for output in outputs), batch.targets)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call] # torch types it not
        optimiser.step()

    return step


def _endless(task: ReidTask | ClassifierTask) -> Iterator[Batch]:
    epoch = 0
    while True:
        yield from task.batches(epoch, World(0, 1))
        epoch += 1


def _plain_step(
    model: nn.Module,
    transform: Callable[[Image.Image], torch.Tensor],
    paths: Sequence[Path],
    labels: Sequence[int],
    recipe: RunRecipe,
) -> Callable[[], None]:
    optimiser = _optimiser(recipe, [{"params": list(model.parameters()), "lr": recipe.learning_rate}], fused=False)
    chosen, targets = paths[: recipe.batch_size], torch.tensor(labels[: recipe.batch_size])

    def step() -> None:
        images = torch.stack([transform(Image.open(path).convert("RGB")) for path in chosen])
        outputs = model(images)
        loss = F.cross_entropy(outputs[2] if isinstance(outputs, tuple) else outputs, targets)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call] # torch types it not
        optimiser.step()

    return step


def _optimiser(recipe: RunRecipe, groups: list[dict[str, Any]], *, fused: bool) -> torch.optim.Optimizer:
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay, fused=fused)
    kind = torch.optim.Adam if recipe.optimiser == "adam" else torch.optim.AdamW
    return kind(groups, weight_decay=recipe.weight_decay, fused=fused)


def _crop_transform() -> Callable[[Image.Image], torch.Tensor]:
    composed: Callable[[Image.Image], torch.Tensor] = transforms.Compose(
        [
            transforms.Resize((128, 64), interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.Pad(10),
            transforms.RandomCrop((128, 64)),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            _IMAGENET,
        ]
    )
    return composed


def _hand_transform(recipe: ClassifierRecipe) -> Callable[[Image.Image], torch.Tensor]:
    composed: Callable[[Image.Image], torch.Tensor] = transforms.Compose(
        [
            transforms.Resize((recipe.height_px, recipe.width_px)),
            transforms.RandomAffine(recipe.rotation, (recipe.translation,) * 2, (1 - recipe.scale, 1 + recipe.scale)),
            transforms.ColorJitter(brightness=recipe.colour, contrast=recipe.contrast),
            transforms.ToTensor(),
            _IMAGENET,
        ]
    )
    return composed


def _face_transform(recipe: ClassifierRecipe) -> Callable[[Image.Image], torch.Tensor]:
    composed: Callable[[Image.Image], torch.Tensor] = transforms.Compose(
        [
            transforms.Grayscale(),
            transforms.Resize((recipe.height_px, recipe.width_px)),
            transforms.RandomHorizontalFlip(recipe.flip),
            transforms.RandomAffine(recipe.rotation, (recipe.translation,) * 2, (1 - recipe.scale, 1 + recipe.scale)),
            transforms.ColorJitter(contrast=recipe.contrast),
            transforms.ToTensor(),
        ]
    )
    return composed


if __name__ == "__main__":
    main("training", rows)
