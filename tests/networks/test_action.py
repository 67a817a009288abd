import pytest
import torch
from timm.layers import SqueezeExcite
from torch import nn

from reid.networks.action import (
    HEADS,
    ActionArguments,
    ActionNetwork,
    LocationsHead,
    MotionHead,
    ProbabilitiesHead,
    head_of,
)
from reid.networks.running_window import RunningWindow


def maps(batch: int = 2, length: int = 6, features: int = 5) -> torch.Tensor:
    return torch.randn(batch, length, features, 3, 2, generator=torch.Generator().manual_seed(0))


def grey(length: int) -> torch.Tensor:
    """Frames (T, 1, 16, 16) in which nothing stays where it was."""
    return 255 * torch.rand(length, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def test_the_papers_head_is_a_layer_at_every_location_and_then_the_mean() -> None:
    head = LocationsHead(5, 3, dropout=0.0)
    at_locations = head.linear(maps().permute(0, 1, 3, 4, 2))
    torch.testing.assert_close(head(maps()), at_locations.mean(dim=(1, 2, 3)))


def test_the_loss_studys_head_averages_probabilities() -> None:
    head = ProbabilitiesHead(5, 3, dropout=0.0)
    probabilities = head.linear(maps().permute(0, 1, 3, 4, 2)).softmax(-1).mean(dim=(1, 2, 3))
    torch.testing.assert_close(head(maps()).exp(), probabilities)
    torch.testing.assert_close(head(maps()).softmax(1), probabilities)


def test_for_the_motion_head_the_order_of_frames_counts_and_for_the_papers_not() -> None:
    shuffled = maps()[:, [3, 0, 5, 1, 4, 2]]
    paper, motion = LocationsHead(5, 3, 0.0).eval(), MotionHead(5, 3, 0.0).eval()
    nn.init.normal_(motion.linear.weight)
    torch.testing.assert_close(paper(maps()), paper(shuffled))
    assert not torch.allclose(motion(maps()), motion(shuffled), atol=1e-3)


def test_motion_by_hand() -> None:
    """One feature, values 1, 2, 4, 4, 9: mean 4, squares' mean 23.6; |Δ1| 1 2 0 5, |Δ4| 8, both over 5 frames."""
    values = torch.tensor([1.0, 2, 4, 4, 9]).view(1, 5, 1)
    statistics = MotionHead(1, 2, 0.0).statistics(values)
    assert statistics[0].tolist() == pytest.approx([4.0, 23.6, 8 / 5, 8 / 5])


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("length", [1, 3, 6])
def test_a_stream_answers_as_a_window_of_its_last_frames_does(head: str, length: int) -> None:
    """However many frames came before, at the price of one frame each."""
    backbone = "grey_frames" if head == "flow" else "efficientnet_b0"
    network = head_of(ActionArguments(backbone, 3, head), 5).eval()
    nn.init.normal_(network.linear.weight)
    frames = grey(40) if head == "flow" else maps(1, 40)[0]
    seen, running = network.vectors(frames).detach(), RunningWindow(network, length)
    for number, vector in enumerate(seen, start=1):
        logits = running.push(vector)
        last = seen[max(0, number - length) : number]
        torch.testing.assert_close(logits, network.logits(network.statistics(last[None]))[0], atol=1e-4, rtol=1e-4)
    assert len(running) == length


def test_an_activation_is_swapped_everywhere_but_in_the_gates() -> None:
    plain = ActionNetwork(ActionArguments("efficientnet_b0", 4))
    swapped = ActionNetwork(ActionArguments("efficientnet_b0", 4, activation="mish"))
    assert plain.state_dict().keys() == swapped.state_dict().keys()
    assert sum(isinstance(module, nn.Mish) for module in swapped.modules()) == 49
    assert not any(isinstance(module, nn.SiLU) for module in swapped.modules())
    gates = [
        module.gate for module in swapped.modules() if isinstance(module, SqueezeExcite) or hasattr(module, "gate")
    ]
    assert gates
    assert all(type(gate).__name__ == "Sigmoid" for gate in gates)


def test_a_network_answers_for_windows() -> None:
    network = ActionNetwork(ActionArguments("tf_efficientnet_lite0", 3, head="motion")).eval()
    assert network(torch.zeros(2, 5, 3, 32, 32)).shape == (2, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet", 2), "expected a backbone of"),
        (("efficientnet_b0", 2, "lstm"), "expected a head of"),
        (("efficientnet_b0", 2, "motion", "step"), "expected an activation of"),
        (("efficientnet_b0", 1), "at least 2 labels"),
        (("efficientnet_b0", 2, "flow"), "expected the head flow with the backbone grey_frames alone"),
        (("grey_frames", 2, "motion"), "expected the head flow with the backbone grey_frames alone"),
    ],
)
def test_arguments_that_make_no_network_are_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ActionArguments(*arguments)  # type: ignore[arg-type]
