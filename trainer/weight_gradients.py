"""Convolutions whose weight gradient is a few matrix products: on a processor that is shared, many times faster.

oneDNN computes a convolution's weight gradient in one kernel whose threads wait for each other by spinning. When
another process holds one of the cores, that wait lasts until the scheduler comes round: a step of ResNet-18 on two
cores beside a busy third process took 3.9 s, and 0.57 s with products (docs/experiments.md). Forward pass and input
gradient, which have no such wait, stay oneDNN's.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

_FEWEST_CHANNELS = 16  # the products of a network's first layer, of 3 channels, would be too thin to pay


def use_products(model: nn.Module) -> None:
    """Replace, in place, every plain convolution that :class:`ProductConv2d` can stand for; weights are kept."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Conv2d and _replaceable(child):
                setattr(module, name, ProductConv2d(child))


def _replaceable(conv: nn.Conv2d) -> bool:
    plain = conv.groups == 1 and conv.dilation == (1, 1) and conv.bias is None and not isinstance(conv.padding, str)
    return plain and conv.in_channels >= _FEWEST_CHANNELS


class ProductConv2d(nn.Module):
    """Equal to the convolution it is made from, whose weight it shares; that has no groups, dilation or bias."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight, self.stride, self.padding = conv.weight, conv.stride, conv.padding

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) → (B, O, H', W')."""
        output: torch.Tensor = _Convolution.apply(images, self.weight, self.stride, self.padding)
        return output


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, images: torch.Tensor, weight: torch.Tensor, stride: tuple[int, int], padding: tuple[int, int]
    ) -> torch.Tensor:
        if torch.is_autocast_enabled(images.device.type):
            dtype = torch.get_autocast_dtype(images.device.type)
            images, weight = images.to(dtype), weight.to(dtype)
        context.save_for_backward(images, weight)
        context.stride, context.padding = stride, padding
        return F.conv2d(images, weight, None, stride, padding)

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor, None, None]:
        (gradient,) = gradients
        images, weight = context.saved_tensors
        return (
            _input_gradient(gradient, images, weight, context) if context.needs_input_grad[0] else None,
            weight_gradient(gradient, images, weight, context.stride, context.padding),
            None,
            None,
        )


def _input_gradient(gradient: torch.Tensor, images: torch.Tensor, weight: torch.Tensor, context: Any) -> torch.Tensor:
    found: torch.Tensor = torch.ops.aten.convolution_backward(
        gradient, images, weight, None, context.stride, context.padding, (1, 1), False, (0, 0), 1, (True, False, False)
    )[0]
    return found


def weight_gradient(
    gradient: torch.Tensor,
    images: torch.Tensor,
    weight: torch.Tensor,
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> torch.Tensor:
    """(O, C, h, w): for each place (i, j) of the kernel, the output's gradient times what that place saw.

    ``gradient`` (B, O, H', W') and ``images`` (B, C, H, W), best channels-last.
    """
    outputs = gradient.permute(0, 2, 3, 1)
    by_output = outputs.reshape(-1, gradient.shape[1]).t()
    seen = F.pad(images.permute(0, 2, 3, 1), (0, 0, padding[1], padding[1], padding[0], padding[0]))
    rows, columns = outputs.shape[1:3]
    products = [
        by_output @ seen[:, i :: stride[0], j :: stride[1]][:, :rows, :columns].reshape(-1, images.shape[1])
        for i in range(weight.shape[2])
        for j in range(weight.shape[3])
    ]
    return torch.stack(products, dim=2).view(weight.shape)
