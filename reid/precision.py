"""Half precision where the device has it *and* gives the same answers; decided by measuring, since it moves scores.

Measured, not assumed: in torch 2.14 the bf16 convolution of oneDNN reads memory that is not its own for a stride of 2
on a map 2 px wide (crops of 64 × 32 with last stride 2), and answers with noise or nan.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Protocol

import torch
import torch.nn.functional as F

MIN_AGREEMENT = 0.999
_PROBES = 4


class Preprocess(Protocol):
    """What is asked of an input's preparation: its size, and pixels (B, C, H, W) uint8 → network input."""

    @property
    def height_px(self) -> int: ...  # noqa: D102 - the class says it

    @property
    def width_px(self) -> int: ...  # noqa: D102

    @property
    def channels(self) -> int: ...  # noqa: D102

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor: ...  # noqa: D102


Network = Callable[[torch.Tensor], torch.Tensor]


class Precision(StrEnum):
    """The type that convolutions and products run in; weights and embeddings stay float32."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"

    def autocast(self, device: torch.device) -> AbstractContextManager[None]:
        """A context in which torch computes in this precision."""
        dtype = torch.float16 if self is Precision.FP16 else torch.bfloat16
        return torch.autocast(device.type, dtype=dtype, enabled=self is not Precision.FP32)


def native_half(device: torch.device) -> Precision:
    """The half precision in which this device computes networks faster than in fp32, or fp32 where there is none.

    On a processor that takes AMX: with AVX512-BF16 alone, convolutions in bf16 were measured 1.2 to 1.6 times slower
    than in fp32 (docs/experiments.md).
    """
    if device.type == "cuda":
        return Precision.FP16
    return Precision.BF16 if torch.cpu.get_capabilities().get("amx_bf16", False) else Precision.FP32


def multiplies_bf16(device: torch.device) -> bool:
    """Whether this device has instructions for products of bf16: there they beat turning bf16 rows into fp32 first."""
    capabilities = torch.cpu.get_capabilities()
    return device.type == "cpu" and any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


@torch.inference_mode()
def choose_precision(network: Network, preprocess: Preprocess, device: torch.device) -> Precision:
    """The device's half precision if its answers to probe images are within cosine 0.999 of fp32's, else fp32.

    A network in evaluation mode on `device`. The probes are smooth seeded noise, so the choice is the same at every
    start on the same machine.
    """
    half = native_half(device)
    if half is Precision.FP32:
        return half

    def rounded(images: torch.Tensor) -> torch.Tensor:
        with half.autocast(device):
            return network(images)

    images = probe_images(preprocess, device)
    return half if cosine(network(images), rounded(images)) >= MIN_AGREEMENT else Precision.FP32


def probe_images(preprocess: Preprocess, device: torch.device) -> torch.Tensor:
    """Smooth seeded noise as network input, (B, C, H, W) float32."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(_PROBES, preprocess.channels, 8, 4, generator=generator)
    size = (preprocess.height_px, preprocess.width_px)
    return preprocess.normalise(F.interpolate(coarse, size, mode="bilinear").mul(255).to(torch.uint8).to(device))


def cosine(exact: torch.Tensor, found: torch.Tensor) -> float:
    """The least cosine between two networks' answers (B, …) to the same images."""
    return F.cosine_similarity(exact.float().flatten(1), found.float().flatten(1)).min().item()
