"""How things move in small grey frames: differences, optical flow and its change, told cell by cell of a grid.

Nothing here has weights. Optical flow is Lucas and Kanade's (1981), at one scale, with a Gaussian window.
"""

import math

import torch
import torch.nn.functional as F

NUM_FIGURES = 27
_CELLS = 8  # a side of the grid
_RANKS = (1, 4, 12, 32, 64)  # the cells from most to least: the first, the next three, …
_WINDOW_SIGMA = 3.0
_SMOOTHING_SIGMA = 1.0
_LEAST_GRADIENT = 4.0  # keeps the flow of a flat place at 0
_MOST_FLOW = 8.0  # pixels a frame: beyond, a linear estimate says nothing
_TINY = 1e-4


def motion_figures(frames: torch.Tensor) -> torch.Tensor:
    """Three grey frames in a row each, (N, 3, H, W) in 0…255 → (N, 27) float32.

    Differences and second differences (in units of the frames' contrast), flow less its median (which is the camera's)
    and the change of that flow: each as the logarithm of its mean in ranked cells and the share of the first four;
    then how far the flow within cells agrees, keeps its direction, and how much the cells' differences change.
    """
    count = len(frames)
    smooth = _blurred(frames.flatten(0, 1)[:, None], _SMOOTHING_SIGMA)
    contrast = (
        smooth.view(count, math.prod(frames.shape[1:])).std(dim=1, correction=0).clamp(min=1.0)[:, None, None, None]
    )
    first, second, third = smooth.view(count, 3, 1, *frames.shape[2:]).unbind(dim=1)
    earlier, later = _own_flow(first, second), _own_flow(second, third)
    fields = (
        (third - second).abs() / contrast,
        (third - 2 * second + first).abs() / contrast,
        later.norm(dim=1, keepdim=True),
        (later - earlier).norm(dim=1, keepdim=True),
    )
    cells = [F.adaptive_avg_pool2d(field, _CELLS).flatten(1) for field in fields]
    before = F.adaptive_avg_pool2d((second - first).abs() / contrast, _CELLS).flatten(1)
    was, now = (F.adaptive_avg_pool2d(flow, _CELLS).flatten(2) for flow in (earlier, later))
    speed = now.norm(dim=1)
    turning = (now * was).sum(dim=1) / (speed * was.norm(dim=1) + 10 * _TINY)
    more = (
        speed.mean(dim=1) / cells[2].mean(dim=1).clamp(min=_TINY),
        (turning * speed).sum(dim=1) / speed.sum(dim=1).clamp(min=10 * _TINY),
        (cells[0] - before).abs().mean(dim=1).clamp(min=_TINY).log(),
    )
    return torch.cat([*(_ranked(one) for one in cells), torch.stack(more, dim=1)], dim=1)


def _own_flow(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """(N, 2, H, W): from one frame (N, 1, H, W) to the other, in pixels, less the median."""
    along = F.pad((one[..., :, 2:] - one[..., :, :-2]) / 2, (1, 1))
    down = F.pad((one[..., 2:, :] - one[..., :-2, :]) / 2, (0, 0, 1, 1))
    change = other - one
    products = torch.cat([along * along, along * down, down * down, along * change, down * change], dim=1)
    xx, xy, yy, xt, yt = (
        _blurred(products.flatten(0, 1)[:, None], _WINDOW_SIGMA).view_as(products)[:, :, None].unbind(dim=1)
    )
    xx, yy = xx + _LEAST_GRADIENT, yy + _LEAST_GRADIENT
    determinant = xx * yy - xy * xy
    flow = torch.cat([xy * yt - yy * xt, xy * xt - xx * yt], dim=1) / determinant
    flow = flow.clamp(-_MOST_FLOW, _MOST_FLOW)
    median: torch.Tensor = flow.flatten(2).median(dim=2).values[..., None, None]
    return flow - median


def _blurred(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """(N, 1, H, W), with zeros around."""
    reach = int(3 * sigma)
    places = torch.arange(-reach, reach + 1, dtype=images.dtype, device=images.device)
    weights = torch.exp(-places.square() / (2 * sigma * sigma))
    weights = weights / weights.sum()
    images = F.conv2d(images, weights.view(1, 1, 1, -1), padding=(0, reach))
    return F.conv2d(images, weights.view(1, 1, -1, 1), padding=(reach, 0))


def _ranked(cells: torch.Tensor) -> torch.Tensor:
    """(N, 64) → (N, 6): logarithms of the means of ranks, and the share of the first four cells."""
    ordered = cells.sort(dim=1, descending=True).values
    begins = (0, *_RANKS[:-1])
    means = [ordered[:, begin:end].mean(dim=1) for begin, end in zip(begins, _RANKS, strict=True)]
    share = ordered[:, :4].sum(dim=1) / ordered.sum(dim=1).clamp(min=_TINY / 100)
    return torch.cat([torch.stack(means, dim=1).clamp(min=_TINY).log(), share[:, None]], dim=1)
