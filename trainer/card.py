"""The page for people beside a bundle: what it is, what it reaches, on what terms, and what its scores mean."""

from reid.evaluation.calibration import Calibration
from reid.kinds import EmbeddingBundle
from trainer.loop import Outcome

_SCORES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


def card(bundle: EmbeddingBundle, outcome: Outcome, *, command: str, notes: str, images_per_second: float) -> str:
    """Markdown of `card.md`. The bundle must have metrics and a calibration; `notes` is free Markdown."""
    assert bundle.calibration is not None
    metrics, recipe = bundle.metrics, bundle.recipe
    return f"""# {bundle.name}

{recipe["backbone"]}, last stride {recipe["last_stride"]}, {bundle.network.embedding_size}-d embedding, crops of
{bundle.preprocess.height_px} × {bundle.preprocess.width_px} px, features of a crop and its mirror image added.
Bundle id `{bundle.id}`.

## What it reaches

{bundle.calibration.domain}. {metrics["protocol"]}. {metrics["num_valid_queries"]} of {metrics["num_queries"]} queries
count, against {metrics["num_gallery"]} crops; no re-ranking.

| Rank-1 | Rank-5 | Rank-10 | mAP (step) | mAP (trapezoid) |
|---|---|---|---|---|
| {metrics["rank_1"]:.2%} | {metrics["rank_5"]:.2%} | {metrics["rank_10"]:.2%} | {metrics["mean_ap"]:.2%} \
| {metrics["mean_ap_trapezoid"]:.2%} |

From files to vectors it took one crop in {1000 / images_per_second:.1f} ms when these figures were made.

## What a score means

Measured on {bundle.calibration.num_impostor_pairs:,} pairs of different people and
{bundle.calibration.num_genuine_pairs:,} pairs of one person on two cameras of that set. On other cameras it will be
different: calibrate there.

{score_table(bundle.calibration)}

A rate is per comparison: a search over G sightings meets rate × G strangers at that score.

## How it was made

Recipe `{recipe["name"]}` (complete in `bundle.json`), {outcome.epochs} epoch{"s" if outcome.epochs > 1 else ""},
{outcome.seconds / 60:.0f} minutes, seed {recipe["seed"]}, final loss {outcome.final_loss:.3f}, {outcome.verdict}:

    {command}

## Data and terms

{bundle.licence}

{notes}"""


def score_table(calibration: Calibration) -> str:
    """A Markdown table: per score, the false-match rate, strangers in a search of 10 000, and the true-match rate."""
    rows = [_score_row(calibration, score) for score in _SCORES]
    head = "| score | false-match rate | strangers in a search of 10 000 | same person on another camera reaches it |"
    return "\n".join([head, "|---|---|---|---|", *rows])


def _score_row(calibration: Calibration, score: float) -> str:
    rate = float(calibration.false_match_rate(score))
    reached = float(calibration.true_match_rate(score))
    return f"| {score} | {rate:.1e} | {10_000 * rate:.3g} | {reached:.1%} |"
