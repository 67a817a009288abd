"""The page for people beside a bundle that tells labels apart."""

from typing import Any

from reid.bundle import Bundle
from trainer.loop import Outcome


def class_card(bundle: Bundle[Any, Any], what: str, outcome: Outcome, *, command: str, notes: str) -> str:
    """Markdown of `card.md`. The bundle must have metrics; `what` is a line on the network, `notes` free Markdown."""
    metrics, recipe = bundle.metrics, bundle.recipe
    low, high = metrics["accuracy_interval"]
    top_5 = f", among the best five {metrics['top_5_accuracy']:.2%}" if "top_5_accuracy" in metrics else ""
    return f"""# {bundle.name}

{what}

Bundle id `{bundle.id}`.

## What it reaches

{metrics["domain"]}: {metrics["protocol"]}, {metrics["num_files"]} files. Accuracy **{metrics["accuracy"]:.2%}**
(95 % interval {low:.1%} to {high:.1%}){top_5}, mean over labels {metrics["mean_class_accuracy"]:.2%}; expected
calibration error {metrics["expected_calibration_error"]:.3f}: so far is a score, on average, from the accuracy that
it promises.

{_rates_table(bundle)}

## How it was made

Recipe `{recipe["name"]}` (complete in `bundle.json`), {outcome.epochs} epochs, {outcome.seconds / 60:.1f} minutes,
seed {recipe["seed"]}, final loss {outcome.final_loss:.3f}, {outcome.verdict}:

    {command}

## Data and terms

{bundle.licence}

{notes}"""


_RATES = {
    "true_positive_rate": "true positive",
    "true_negative_rate": "true negative",
    "false_positive_rate": "false positive",
    "false_negative_rate": "false negative",
    "precision": "precision",
    "f1": "F1",
}


def _rates_table(bundle: Bundle[Any, Any]) -> str:
    head = ["| label | " + " | ".join(_RATES.values()) + " |", "|---" * (1 + len(_RATES)) + "|"]
    rows = [
        f"| {label} | " + " | ".join(f"{rates[name]:.3f}" for name in _RATES) + " |"
        for label, rates in bundle.metrics["rates"].items()
    ]
    return "\n".join([*head, *rows])
