"""Each claim of the lecture, in its direction."""

import csv
from pathlib import Path

import pytest
from PIL import Image

from reid.networks.activations import ACTIVATIONS
from tests.trainer.test_cli import invoke
from trainer.lecture import (
    dead_share,
    gradient_by_depth,
    learning_from_a_wrong_start,
    saturated_share,
    training_from_a_poor_start,
)


def test_squared_error_with_a_sigmoid_learns_slowly_where_cross_entropy_does_not() -> None:
    slow, quick = (learning_from_a_wrong_start(loss).y for loss in ("squared_error", "cross_entropy"))
    assert slow[0] == quick[0] > 0.98
    assert slow[20] > 0.9  # hardly moved
    assert quick[20] < 0.1


def test_sigmoid_and_tanh_saturate_on_both_sides_and_relu_on_one() -> None:
    assert saturated_share("relu") == pytest.approx(0.5, abs=0.01)
    assert saturated_share("sigmoid") > 0.2
    assert saturated_share("tanh") > 0.4
    assert saturated_share("leaky_relu") == 0
    assert saturated_share("swish") < 0.02


def test_relu_dies_at_a_large_rate_and_its_cures_do_not() -> None:
    assert dead_share("relu", 1.0) > 0.5
    assert dead_share("relu", 0.01) == 0
    for cure in ("leaky_relu", "parametric_relu", "elu", "swish"):
        assert dead_share(cure, 1.0) == 0


def test_gradients_vanish_with_depth_most_of_all_for_the_sigmoid() -> None:
    left = {name: curve.y[0] / curve.y[-1] for name in ("sigmoid", "tanh") for curve in [gradient_by_depth(name)]}
    assert left["sigmoid"] < 1e-12
    assert left["sigmoid"] < left["tanh"] < 1e-3


def test_residual_connections_and_auxiliary_outputs_bring_the_gradient_back() -> None:
    plain = gradient_by_depth("sigmoid")
    residual, auxiliary = (gradient_by_depth("sigmoid", **{way: True}) for way in ("residual", "auxiliary"))
    assert residual.y[0] / residual.y[-1] > 0.01
    assert auxiliary.y[0] > 1e6 * plain.y[0]


def test_noise_or_residual_connections_leave_a_poor_start_behind() -> None:
    plain = training_from_a_poor_start(noise=False)
    assert plain.y[-1] > 0.68  # ln 2: nothing was learnt
    assert training_from_a_poor_start(noise=True).y[-1] < 0.1
    assert training_from_a_poor_start(noise=False, residual=True).y[-1] < 0.1


@pytest.mark.parametrize("topic", ["activations", "losses", "gradients"])
def test_a_topic_becomes_a_picture_and_its_numbers(topic: str, tmp_path: Path) -> None:
    result = invoke("explain", topic, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / f"{topic}.png") as picture:
        assert picture.size[0] >= 500
    with (tmp_path / f"{topic}.csv").open() as file:
        curves = {row["curve"] for row in csv.DictReader(file)}
    assert len(curves) >= 2
    if topic == "activations":
        assert curves >= ACTIVATIONS.keys()
