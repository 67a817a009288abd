"""One training step of ResNet-50 on 128 × 64 crops: ours, against the loop that most people write first."""

import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from reid import threads

threads.configure()

import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torchvision import transforms

from benchmarks.harness import Row, compare, main
from reid.datasets.crop import Crop
from reid.datasets.generated import write_market_folder
from reid.datasets.market1501 import read_market1501
from trainer.distributed import World
from trainer.loop import Batch
from trainer.recipes.reid import BASELINE
from trainer.tasks.reid import IdentityModel, ReidTask

_BATCH = 32
_RECIPE = dataclasses.replace(BASELINE, sizes=((0, 128, 64),), initial_weights="none", batch_size=_BATCH)


def rows() -> Iterator[Row]:
    """Both steps: read a batch, augment, forward, loss, backward, SGD with momentum; the same network and crops."""
    with tempfile.TemporaryDirectory() as folder:
        write_market_folder(Path(folder), train_people=16, test_people=2, cameras=2, per_camera=2)
        crops = read_market1501(Path(folder)).train
        yield compare(
            "training resnet50 128x64 vs plain loop",
            _our_step(crops),
            _plain_step(crops),
            peer_name="PIL one image at a time, fp32",
            pairs=5,
            per=_BATCH,
        )


def _our_step(crops: Sequence[Crop]) -> Callable[[], None]:
    task = ReidTask(crops, _RECIPE, torch.device("cpu"))
    optimiser = torch.optim.SGD(task.parameter_groups(), momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True)
    batches = _endless(task)

    def step() -> None:
        batch = next(batches)
        with task.precision.autocast(task.device):
            outputs = task.model(batch.inputs)
        loss = task.loss(tuple(output.float() for output in outputs), batch.targets)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return step


def _endless(task: ReidTask) -> Iterator[Batch]:
    epoch = 0
    while True:
        yield from task.batches(epoch, World(0, 1))
        epoch += 1


def _plain_step(crops: Sequence[Crop]) -> Callable[[], None]:
    model: nn.Module = IdentityModel(_RECIPE, len({crop.pid for crop in crops}))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    transform = transforms.Compose(
        [
            transforms.Resize((128, 64), interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.Pad(10),
            transforms.RandomCrop((128, 64)),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    labels = torch.tensor([crop.pid - 1 for crop in crops[:_BATCH]])

    def step() -> None:
        images = torch.stack([transform(Image.open(crop.path).convert("RGB")) for crop in crops[:_BATCH]])
        loss = F.cross_entropy(model(images)[2], labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return step


if __name__ == "__main__":
    main("training", rows)
