"""What `evaluate --report` writes."""

from pathlib import Path

from reid.bundle import Bundle
from reid.evaluation.report import draw_calibration, draw_cmc
from trainer.card import score_table
from trainer.evaluation import Evaluation


def write_report(folder: Path, evaluation: Evaluation, bundle: Bundle, domain: str) -> None:
    """Write `cmc.png`, `scores.png` and `scores.md` (what each score means) to `folder`, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    calibration = evaluation.calibration(domain)
    draw_cmc(folder / "cmc.png", evaluation.result, f"{bundle.name} on {domain}")
    draw_calibration(folder / "scores.png", calibration)
    (folder / "scores.md").write_text(score_table(calibration) + "\n")
