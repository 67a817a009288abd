"""Several processes that train one model: what `torchrun` started, or this process alone."""

import os
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
import torch.distributed.nn.functional as differentiable
from numpy.typing import NDArray
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from reid.errors import RecipeError


@dataclass(frozen=True)
class World:
    """This process's `rank` among `size`; rank 0 alone writes files and talks."""

    rank: int
    size: int

    @property
    def leads(self) -> bool:
        """Whether this process writes logs, checkpoints and bundles."""
        return self.rank == 0

    def wrap(self, model: nn.Module, device: torch.device) -> nn.Module:
        """`model` with gradients averaged over all processes; itself when there is only this one."""
        if self.size == 1:
            return model
        return DistributedDataParallel(model, device_ids=[device.index] if device.type == "cuda" else None)

    def gather(self, local: torch.Tensor) -> torch.Tensor:
        """(B, …) of every process → (size × B, …) in order of rank, with gradients back to their owners.

        Losses that compare crops with each other then see the whole batch. Every process computes the same loss; its
        gradient comes back `size` times and the averaging of :meth:`wrap` divides by as many: one process or
        several, the parameters' gradients are the same.
        """
        if self.size == 1:
            return local
        if local.requires_grad:
            return torch.cat(differentiable.all_gather(local))  # type: ignore[no-untyped-call]
        parts = [torch.empty_like(local) for _ in range(self.size)]
        dist.all_gather(parts, local.contiguous())
        return torch.cat(parts)

    def generator(self, seed: int, epoch: int) -> torch.Generator:
        """Random numbers for an epoch, each process's its own."""
        return torch.Generator().manual_seed((seed * 1_000_003 + epoch) * self.size + self.rank)

    def share(self, batch: NDArray[np.int64]) -> NDArray[np.int64]:
        """This process's part of a batch's (B,) positions.

        Raises :class:`RecipeError` where not all get as many: what :meth:`gather` puts together would be garbage.
        """
        if len(batch) % self.size:
            raise RecipeError(f"expected batches that {self.size} processes can share evenly, got one of {len(batch)}")
        return batch[self.rank :: self.size]

    def told(self, figures: dict[str, float]) -> dict[str, float]:
        """What rank 0 has measured, to every process."""
        if self.size == 1:
            return figures
        said = [figures]
        dist.broadcast_object_list(said, src=0)
        return said[0]

    def meet(self) -> None:
        """Wait until every process has come here."""
        if self.size > 1:
            dist.barrier()

    def leave(self) -> None:
        """End the group of processes; without effect for one process alone."""
        if self.size > 1:
            dist.destroy_process_group()


def join_world(device: torch.device) -> tuple[World, torch.device]:
    """Join the processes that `torchrun` started: gloo on processors, nccl on GPUs, where each rank takes its own."""
    if "RANK" not in os.environ:
        return World(0, 1), device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return World(dist.get_rank(), dist.get_world_size()), device
