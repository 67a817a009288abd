"""Figures that others published, to stand beside ours: percent, by the protocol each source used."""

from typing import Any

# Learning-rate and batch-size study, Market-1501, ResNet-50, 60 epochs; mAP is the trapezoid.
_NAMES = ("rank_1", "rank_5", "rank_10", "mean_ap_trapezoid")
LEARNING_RATE = {
    0.01: (72.5059, 88.6283, 92.2830, 46.8359),
    0.03: (81.3242, 92.4287, 95.0416, 57.6058),
    0.05: (81.7696, 92.3990, 95.3682, 59.5859),
    0.07: (82.8979, 93.2007, 95.3385, 59.7440),
    0.09: (82.5713, 92.7850, 95.6354, 60.1919),
    0.1: (82.6990, 93.0226, 95.3682, 61.7585),
}
BATCH_SIZE = {
    8: (0.02969, 0.08314, 0.18409, 0.02020),
    16: (82.5713, 92.7850, 95.6354, 60.1919),
    32: (80.0178, 91.7755, 94.8634, 56.9912),
    64: (75.7423, 90.4691, 94.0024, 51.0595),
}

# Sunglasses, 378 faces, 80 / 20, in the order of the study: (training loss, validation loss, validation accuracy).
REGULARISATION = {
    "conv_nn_1": [
        (0.313, 0.338, 97.6),
        (0.315, 0.344, 96.8),
        (0.313, 0.329, 98.7),
        (0.324, 0.341, 97.1),
        (0.315, 0.333, 98.4),
        (0.322, 0.339, 97.6),
    ],
    "conv_nn_2": [
        (0.320, 0.342, 97.3),
        (0.323, 0.366, 94.1),
        (0.313, 0.321, 99.5),
        (0.314, 0.334, 97.1),
        (0.322, 0.329, 98.4),
        (0.317, 0.330, 98.4),
    ],
}

# Actions, HMDB51's first ten classes, 100 test clips: (accuracy, test loss, each by its own function).
ACTIVATIONS = {
    "swish": (95, 0.20),
    "hard_swish": (91, 0.26),
    "mish": (87, 0.54),
    "gelu": (31, 2.03),
    "celu_half": (63, 4.15),
}
LOSSES = {
    "sparse_categorical_cross_entropy": (89, 0.57),
    "categorical_cross_entropy": (79, 0.56),
    "categorical_focal": (88, 0.05),
    "categorical_hinge": (85, 0.49),
    "kl_divergence": (86, 0.56),
}


def published(study: str, overrides: dict[str, Any]) -> dict[str, float]:
    """The figures that the paper reports for a study's point, as fractions; empty where it reports none."""
    match study:
        case "learning-rate":
            row = LEARNING_RATE.get(overrides["learning_rate"])
        case "batch-size":
            row = BATCH_SIZE.get(overrides["batch_size"])
        case "regularisation":
            return _regularisation(overrides)
        case "activations-losses" | "activations-losses-hmdb51":
            return _actions(overrides)
        case _:
            row = None
    return {} if row is None else {name: value / 100 for name, value in zip(_NAMES, row, strict=True)}


def _actions(overrides: dict[str, Any]) -> dict[str, float]:
    """The paper's row for this function inside the network, or this loss of probabilities."""
    known = LOSSES.get(overrides["loss"]) if "loss" in overrides else ACTIVATIONS.get(overrides["activation"])
    return {} if known is None else {"accuracy": known[0] / 100, "own_loss": known[1]}


def _regularisation(overrides: dict[str, Any]) -> dict[str, float]:
    """The paper's row for these regularisers."""
    match (overrides["flip"] > 0, overrides["weight_decay"] > 0, overrides["dropout"]):
        case (False, False, 0.0):
            row = 0
        case (True, False, 0.0):
            row = 1
        case (False, True, 0.0):
            row = 2
        case (False, False, 0.25):
            row = 3
        case (False, False, 0.5):
            row = 4
        case _:
            row = 5
    training_loss, loss, accuracy = REGULARISATION[overrides["architecture"]][row]
    return {"final_loss": training_loss, "loss": loss, "accuracy": accuracy / 100}
