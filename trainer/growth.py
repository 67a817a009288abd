"""A ResNet-50 that begins as a trained ResNet-18: the same function but for one layer, and room to learn more.

After "Net2Net: Accelerating Learning via Knowledge Transfer" (Chen et al. 2016), whose networks are deepened and
widened without a change of what they say. Stage by stage both networks have C = 64, 128, 256 and 512 channels in
their 3 × 3 convolutions, and a ResNet-50's stage passes 4 C on. So a bottleneck can carry out one such convolution of
the ResNet-18: its first 1 × 1 picks the input, its last puts the output where it is wanted. The 4 C channels are four
slots of C: slot 0 holds what the ResNet-18 passes on, 1 and 2 the insides of its two blocks; what is free is left to
random weights that nothing reads yet.

A ResNet-18 has four such convolutions in each stage, a ResNet-50 3, 4, 6 and 3 bottlenecks. The last stage's first
convolution therefore runs at the end of the third stage, in two halves, which a last stride of 1 permits; the first
stage's last one becomes a 1 × 1 by least squares, and is all that changes.
"""

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle
from torchvision.models.resnet import BasicBlock, Bottleneck

from reid.errors import RecipeError
from reid.networks.embedding import EmbeddingNetwork

_SIGMAS = 6.0  # a batch norm's output is lifted by so many of its own, to pass a rectifier unharmed


def grow(large: EmbeddingNetwork, small: EmbeddingNetwork, images: torch.Tensor) -> None:
    """Fill `large`, a ResNet-50, in place so that it does what `small` does, a ResNet-18, both of last stride 1.

    `images` (N, 3, H, W) are normalised crops such as `small` knows: where a value is only passed on, the batch norm
    on its way takes its mean and spread from them. Raises :class:`RecipeError` for other networks.
    """
    _check(large, small)
    large.eval()
    small.eval()
    with torch.no_grad():
        _Growth(large, small).fill(images)
    large.train()


def _check(large: EmbeddingNetwork, small: EmbeddingNetwork) -> None:
    for network, backbone in ((large, "resnet50"), (small, "resnet18")):
        arguments = network.arguments
        if (arguments.backbone, arguments.last_stride, arguments.head) != (backbone, 1, "linear"):
            raise RecipeError(f"growth: expected a {backbone} with last_stride 1 and a linear head, got {arguments}")
    if large.arguments.embedding_size != small.arguments.embedding_size:
        raise RecipeError(
            f"growth: expected an embedding_size of {small.arguments.embedding_size}, "
            f"got {large.arguments.embedding_size}"
        )


class _Growth:
    def __init__(self, large: EmbeddingNetwork, small: EmbeddingNetwork) -> None:
        self.large, self.small = large, small
        self.hooks: list[RemovableHandle] = []

    def fill(self, images: torch.Tensor) -> None:
        for name in ("conv1", "bn1"):
            getattr(self.large.backbone, name).load_state_dict(getattr(self.small.backbone, name).state_dict())
        self._first_stage(images)
        self._middle_stage(2, 128)
        self._middle_stage(3, 256)
        self._into_last_stage()
        self._last_stage()
        self._neck()
        self.large(images)  # the norms look at what they pass
        for hook in self.hooks:
            hook.remove()

    def _blocks(self, stage: int) -> tuple[list[Bottleneck], list[BasicBlock]]:
        name = f"layer{stage}"
        return list(getattr(self.large.backbone, name)), list(getattr(self.small.backbone, name))

    def _first_stage(self, images: torch.Tensor) -> None:
        large, small = self._blocks(1)
        free = torch.cat([_slot(64, 2), _slot(64, 3)])
        pick, norm = _shortcut(large[0])
        _silence(norm, _slot(64, 0), free)
        _put_unit(pick, _slot(64, 0), _slot(64, 0))
        self._pass(norm, _slot(64, 0))
        self._rectified(large[0], _slot(64, 0), small[0].conv1, small[0].bn1, _slot(64, 1), free)
        self._signed(large[1], _slot(64, 1), small[0].conv2, small[0].bn2, free, 0.0)
        weight, bias = self._last_as_one_by_one(small[1], images)
        self._rectified(large[2], _slot(64, 0), small[1].conv1, small[1].bn1, _slot(64, 0), free, -bias)
        large[2].conv3.weight[:64, :, 0, 0] = weight

    def _last_as_one_by_one(self, block: BasicBlock, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of all (64, 64) weights and (64,) biases, those nearest to the block's second convolution and its norm."""
        backbone = self.small.backbone
        given = backbone.layer1[0](backbone.maxpool(backbone.relu(backbone.bn1(backbone.conv1(images)))))
        inside = block.relu(block.bn1(block.conv1(given)))
        wanted = _by_place(block.bn2(block.conv2(inside)))
        found = _by_place(torch.cat([inside, torch.ones_like(inside[:, :1])], dim=1))
        solution = torch.linalg.lstsq(found.T @ found, found.T @ wanted, driver="gelsd").solution.float()
        return solution[:-1].T, solution[-1]

    def _middle_stage(self, stage: int, width: int) -> None:
        """Both blocks in four bottlenecks; the third stage then makes room for what comes early."""
        large, small = self._blocks(stage)
        free = _slot(width, 3) if stage == 2 else torch.arange(0)
        given = _slot(width // 2, 0)
        lift = self._down(large[0], small[0], given, free, lifted=True)
        self._rectified(large[0], given, small[0].conv1, small[0].bn1, _slot(width, 1), free)
        self._signed(large[1], _slot(width, 1), small[0].conv2, small[0].bn2, free, lift)
        self._rectified(large[2], _slot(width, 0), small[1].conv1, small[1].bn1, _slot(width, 2), free)
        self._signed(large[3], _slot(width, 2), small[1].conv2, small[1].bn2, free, 0.0)

    def _into_last_stage(self) -> None:
        """The last stage's first convolution, half into the free slot, half into one that is emptied before."""
        large, _ = self._blocks(3)
        first = self._blocks(4)[1][0]
        inside = self._blocks(3)[1][0].bn1
        large[1].bn3.bias[_slot(256, 1)] = -(inside.bias + 2 * _SIGMAS * inside.weight.abs()).clamp(min=0)
        none = torch.arange(0)
        for place, (block, slot) in enumerate(((large[4], 3), (large[5], 1))):
            half = _slot(256, place)
            self._rectified(block, _slot(256, 0), first.conv1, first.bn1, _slot(256, slot), none, rows=half)

    def _last_stage(self) -> None:
        large, small = self._blocks(4)
        free = torch.cat([_slot(512, 2), _slot(512, 3)])
        self._down(large[0], small[0], _slot(256, 0), free, lifted=False)
        early = torch.cat([_slot(256, 3), _slot(256, 1)])
        self._signed(large[0], early, small[0].conv2, small[0].bn2, free, 0.0)
        self._rectified(large[1], _slot(512, 0), small[1].conv1, small[1].bn1, _slot(512, 1), free)
        self._signed(large[2], _slot(512, 1), small[1].conv2, small[1].bn2, free, 0.0)

    def _neck(self) -> None:
        self.large.neck[1].load_state_dict(self.small.neck[1].state_dict())
        linear, given = self.large.neck[0], self.small.neck[0]
        assert isinstance(linear, nn.Linear)
        assert isinstance(given, nn.Linear)
        linear.weight.zero_()
        linear.weight[:, : given.in_features] = given.weight
        linear.bias.copy_(given.bias)

    def _down(
        self, large: Bottleneck, small: BasicBlock, source: torch.Tensor, free: torch.Tensor, *, lifted: bool
    ) -> torch.Tensor:
        """The shortcut of a stage's first block into slot 0; how far it was lifted, (C,)."""
        convolution, norm = _shortcut(large)
        given, given_norm = _shortcut(small)
        slot = torch.arange(given.out_channels)
        _silence(norm, slot, free)
        convolution.weight[slot] = 0
        convolution.weight[slot[:, None], source] = given.weight
        _copy_norm(norm, given_norm, slot, slot)
        lift = _lift(given_norm) if lifted else torch.zeros(len(slot))
        norm.bias[slot] += lift
        return lift

    def _rectified(
        self,
        block: Bottleneck,
        source: torch.Tensor,
        convolution: nn.Conv2d,
        norm: nn.BatchNorm2d,
        target: torch.Tensor,
        free: torch.Tensor,
        shift: torch.Tensor | float = 0.0,
        rows: torch.Tensor | None = None,
    ) -> None:
        """`target` becomes the rectified output of a convolution and its norm, or of some `rows` of it."""
        rows = torch.arange(convolution.out_channels) if rows is None else rows
        self._pick(block, source)
        block.conv2.weight.zero_()
        block.conv2.weight[:, : len(source)] = convolution.weight[rows]
        _copy_norm(block.bn2, norm, torch.arange(len(rows)), rows)
        _silence(block.bn3, target, free)
        _put_unit(block.conv3, target, torch.arange(len(rows)))
        self._pass(block.bn3, target, shift)

    def _signed(
        self,
        block: Bottleneck,
        source: torch.Tensor,
        convolution: nn.Conv2d,
        norm: nn.BatchNorm2d,
        free: torch.Tensor,
        lifted: torch.Tensor | float,
    ) -> None:
        """The output of a convolution and its norm is added to slot 0, which may have been lifted."""
        target, lift = torch.arange(convolution.out_channels), _lift(norm)
        self._rectified(block, source, convolution, norm, target, free, lift + lifted)
        block.bn2.bias += lift

    def _pick(self, block: Bottleneck, source: torch.Tensor) -> None:
        _put_unit(block.conv1, torch.arange(len(source)), source)
        self._pass(block.bn1, torch.arange(len(source)))

    def _pass(self, norm: nn.BatchNorm2d, channels: torch.Tensor, shift: torch.Tensor | float = 0.0) -> None:
        """Let the norm give what it is given, less `shift`, on channels that it will see."""

        def look(_: nn.Module, given: tuple[torch.Tensor]) -> None:
            assert norm.running_mean is not None
            assert norm.running_var is not None
            variance, mean = torch.var_mean(given[0][:, channels], dim=(0, 2, 3))
            norm.running_mean[channels], norm.running_var[channels] = mean, variance
            norm.weight[channels] = (variance + norm.eps).sqrt()
            norm.bias[channels] = mean - shift

        self.hooks.append(norm.register_forward_pre_hook(look))


def _by_place(maps: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) → (N·H·W, C) float64."""
    return maps.permute(0, 2, 3, 1).flatten(0, 2).double()


def _slot(width: int, place: int) -> torch.Tensor:
    """The channels of a slot, (width,) int64."""
    return torch.arange(place * width, (place + 1) * width)


def _shortcut(block: Bottleneck | BasicBlock) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    assert block.downsample is not None
    convolution, norm = block.downsample
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    return convolution, norm


def _put_unit(convolution: nn.Conv2d, outputs: torch.Tensor, inputs: torch.Tensor) -> None:
    """A 1 × 1 convolution gives each of `outputs` the one of `inputs` in its place."""
    convolution.weight[outputs] = 0
    convolution.weight[outputs, inputs] = 1


def _silence(norm: nn.BatchNorm2d, target: torch.Tensor, free: torch.Tensor) -> None:
    """All channels but these give 0 until they learn."""
    others = torch.ones(norm.num_features, dtype=torch.bool)
    others[torch.cat([target, free])] = False
    norm.weight[others] = 0


def _copy_norm(norm: nn.BatchNorm2d, given: nn.BatchNorm2d, channels: torch.Tensor, rows: torch.Tensor) -> None:
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(norm, name)[channels] = getattr(given, name)[rows]


def _lift(norm: nn.BatchNorm2d) -> torch.Tensor:
    """What makes nearly all that the norm gives positive, (C,)."""
    return (_SIGMAS * norm.weight.abs() - norm.bias).clamp(min=0)
