"""The lecture's claims as small experiments: each returns the numbers that its picture shows. Seeds are fixed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from reid.networks.activations import ACTIVATIONS
from trainer.gradient_noise import add_gradient_noise
from trainer.losses.regression import squared_error

_WIDTH = 32
_BATCH = 256


@dataclass(frozen=True)
class Curve:
    """One line of a picture: `x` and `y` of equal length."""

    label: str
    x: Sequence[float]
    y: Sequence[float]


def slopes(name: str, reach: float = 6.0, points: int = 241) -> tuple[Curve, Curve]:
    """An activation and its derivative on [-reach, reach]."""
    inputs = torch.linspace(-reach, reach, points, dtype=torch.float64, requires_grad=True)
    values = ACTIVATIONS[name]().double()(inputs)
    (derivative,) = torch.autograd.grad(values.sum(), inputs)
    places = inputs.tolist()
    return Curve(name, places, values.tolist()), Curve(f"{name}, slope", places, derivative.tolist())


def saturated_share(name: str, threshold: float = 0.01) -> float:
    """The share of [-6, 6] where the slope is below `threshold`: there nothing is learnt."""
    _, slope = slopes(name)
    return sum(abs(value) < threshold for value in slope.y) / len(slope.y)


def learning_from_a_wrong_start(loss: str, steps: int = 300, rate: float = 0.5) -> Curve:
    """A sigmoid neuron that begins surely wrong (input 1, w = b = 2, target 0): its output by step.

    With `squared_error` the gradient carries σ′, which is nearly 0 there; with `cross_entropy` it cancels.
    """
    weight, bias = (torch.tensor(2.0, requires_grad=True) for _ in range(2))
    outputs = []
    for _ in range(steps):
        logit = weight + bias
        outputs.append(torch.sigmoid(logit).item())
        target = torch.zeros(())
        if loss == "cross_entropy":
            value = F.binary_cross_entropy_with_logits(logit, target)
        else:
            value = squared_error(torch.sigmoid(logit), target)
        gradients = torch.autograd.grad(value, (weight, bias))
        with torch.no_grad():
            for parameter, gradient in zip((weight, bias), gradients, strict=True):
                parameter -= rate * gradient
    return Curve(loss.replace("_", " "), range(steps), outputs)


def dead_share(activation: str, rate: float, steps: int = 60, seed: int = 0) -> float:
    """The share of hidden units that answer no input with any slope, after training with a rate.

    One hidden layer of 128, squared error on ``|x|``-like targets; a rate too large throws ReLUs where they stay 0.
    """
    torch.manual_seed(seed)
    hidden = nn.Sequential(nn.Linear(8, 128), ACTIVATIONS[activation]())
    model = nn.Sequential(hidden, nn.Linear(128, 1))
    inputs = torch.randn(_BATCH, 8)
    targets = inputs.abs().sum(dim=1, keepdim=True)
    optimiser = torch.optim.SGD(model.parameters(), lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        squared_error(model(inputs), targets).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)  # the claim is of dead units, not of infinities
        optimiser.step()
    before = hidden[0](inputs).detach().requires_grad_()
    (slope,) = torch.autograd.grad(hidden[1](before).sum(), before)
    return float((slope.abs().amax(dim=0) == 0).float().mean())


def gradient_by_depth(
    activation: str, depth: int = 30, *, residual: bool = False, auxiliary: bool = False, seed: int = 0
) -> Curve:
    """The root mean square of the loss's gradient at each layer's weights, the first layer first.

    A fully connected network of 32 units a layer at PyTorch's own initialisation, before any step. `residual` adds each
    layer's input to its output; `auxiliary` adds an output and its loss after every tenth layer.
    """
    torch.manual_seed(seed)
    layers = [nn.Linear(_WIDTH, _WIDTH).double() for _ in range(depth)]  # float32 would underflow to 0
    act, head = ACTIVATIONS[activation]().double(), nn.Linear(_WIDTH, 2).double()
    state, targets = torch.randn(_BATCH, _WIDTH, dtype=torch.float64), torch.randint(2, (_BATCH,))
    outputs = []
    for number, layer in enumerate(layers, start=1):
        changed = act(layer(state))
        state = state + changed if residual else changed
        if auxiliary and number % 10 == 0 and number < depth:
            outputs.append(head(state))
    losses = [F.cross_entropy(output, targets) for output in (*outputs, head(state))]
    gradients = torch.autograd.grad(torch.stack(losses).sum(), [layer.weight for layer in layers])
    sizes = [gradient.square().mean().sqrt().item() for gradient in gradients]
    ways = " + residual" * residual + " + auxiliary outputs" * auxiliary
    return Curve(activation + ways, range(1, depth + 1), sizes)


def training_from_a_poor_start(*, noise: bool, residual: bool = False, seed: int = 0) -> Curve:
    """The loss by step of ten ReLU layers whose weights begin as N(0, 0.1²), too small for a signal to come through.

    The target is the sign of a product of two inputs. Noise is Neelakantan et al.'s with η = 0.01, their smallest, and
    gradients are clipped to a norm of 1, as they do.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    layers, head = nn.ModuleList([nn.Linear(_WIDTH, _WIDTH) for _ in range(10)]), nn.Linear(_WIDTH, 2)
    parameters = [*layers.parameters(), *head.parameters()]
    for parameter in parameters:
        nn.init.normal_(parameter, 0, 0.1)
    inputs = torch.randn(_BATCH, _WIDTH)
    targets = (inputs[:, 0] * inputs[:, 1] > 0).long()
    optimiser = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
    losses = []
    for step in range(400):
        state = inputs
        for layer in layers:
            state = torch.relu(layer(state)) + (state if residual else 0)
        loss = F.cross_entropy(head(state), targets)
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if noise:
            add_gradient_noise(parameters, step, generator, eta=0.01)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
    label = ("gradient noise" if noise else "plain") + ", residual" * residual
    return Curve(label, range(len(losses)), losses)
