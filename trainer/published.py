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


def published(study: str, overrides: dict[str, Any]) -> dict[str, float]:
    """The figures that the paper reports for a study's point, as fractions; empty where it reports none."""
    match study:
        case "learning-rate":
            row = LEARNING_RATE.get(overrides["learning_rate"])
        case "batch-size":
            row = BATCH_SIZE.get(overrides["batch_size"])
        case _:
            row = None
    return {} if row is None else {name: value / 100 for name, value in zip(_NAMES, row, strict=True)}
