"""Gradients of one training step, by however many processes run this; rank 0 writes them."""

import dataclasses
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from reid.datasets.market1501 import read_market1501
from trainer.distributed import join_world
from trainer.recipes.reid import DEBUG
from trainer.tasks.reid import ReidTask


def main(root: Path, out: Path) -> None:
    """One batch of 4 people × 4 crops in float32, with batch norm frozen: its statistics are each process's own."""
    torch.manual_seed(0)
    world, device = join_world(torch.device("cpu"))
    recipe = dataclasses.replace(
        DEBUG, batch_size=16, crops_per_person=4, triplet=1.0, label_smoothing=0.1, flip=0.0, pad_px=0
    )
    task = ReidTask(read_market1501(root).train, recipe, device)
    model = world.wrap(task.model, device)
    batch = next(task.batches(0, world))
    task.model.eval()
    outputs = tuple(world.gather(output) for output in model(batch.inputs))
    loss = task.loss(outputs, tuple(world.gather(target) for target in batch.targets))
    loss.backward()
    if world.leads:
        gradients = {name: parameter.grad for name, parameter in task.model.named_parameters()}
        save_file({name: gradient.contiguous() for name, gradient in gradients.items() if gradient is not None}, out)
    world.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
