"""What a score means between two given cameras, where enough pairs were seen, and anywhere else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from reid.evaluation.calibration import Calibration, calibration_of
from reid.evaluation.score_histogram import ScoreHistogram

MIN_IMPOSTOR_PAIRS = 1_000
MIN_GENUINE_PAIRS = 20
_FORMAT = 1


@dataclass(frozen=True)
class CameraCalibration:
    """A calibration over all cameras, and one per pair of camera names (the lesser first) that had enough pairs.

    A cosine has no direction, so the pair has none either. Only vectors of the bundle `bundle_id` have these meanings.
    """

    bundle_id: str
    overall: Calibration
    pairs: Mapping[tuple[str, str], Calibration]

    def __post_init__(self) -> None:
        """Raise ``ValueError`` when a pair is not in order."""
        for first, second in self.pairs:
            if first > second:
                raise ValueError(f"expected camera pairs with the lesser name first, got ({first!r}, {second!r})")

    def between(self, camera: str, other: str) -> Calibration:
        """The calibration of this pair of cameras, or the overall one; its `domain` says which."""
        return self.pairs.get((min(camera, other), max(camera, other)), self.overall)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; :meth:`from_json` reads them."""
        pairs = [{"cameras": list(names), "calibration": table.to_json()} for names, table in self.pairs.items()]
        return {"format": _FORMAT, "bundle_id": self.bundle_id, "overall": self.overall.to_json(), "pairs": pairs}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        """Read :meth:`to_json`'s form. Raises ``ValueError`` on another format, other fields, or bad values."""
        expected = {"format", "bundle_id", "overall", "pairs"}
        if set(raw) != expected or raw["format"] != _FORMAT:
            raise ValueError(f"expected a calibration of format {_FORMAT} with {sorted(expected)}, got {sorted(raw)}")
        try:
            pairs = {tuple(row["cameras"]): Calibration.from_json(row["calibration"]) for row in raw["pairs"]}
            return cls(raw["bundle_id"], Calibration.from_json(raw["overall"]), pairs)
        except (KeyError, TypeError) as error:
            raise ValueError(f"expected a calibration's fields, got {error!r}") from error


def calibrate_cameras(
    histograms: Mapping[tuple[int, int], ScoreHistogram],
    camera_names: Mapping[int, str],
    *,
    bundle_id: str,
    domain: str,
) -> CameraCalibration:
    """Turn counts by (query camid, gallery camid) into calibrations; both directions of a pair are added up.

    A pair needs `MIN_GENUINE_PAIRS` and `MIN_IMPOSTOR_PAIRS`: with fewer, the overall table says more. Raises
    ``ValueError`` when all cameras together have no pair of the same person, or none of different people.
    """
    by_names: dict[tuple[str, str], list[ScoreHistogram]] = {}
    for camids, histogram in histograms.items():
        first, second = sorted(camera_names[camid] for camid in camids)
        by_names.setdefault((first, second), []).append(histogram)
    added = {names: ScoreHistogram.total(both) for names, both in sorted(by_names.items())}
    return CameraCalibration(
        bundle_id,
        calibration_of(ScoreHistogram.total(added.values()), domain),
        {
            names: calibration_of(histogram, f"{domain}, cameras {names[0]} and {names[1]}")
            for names, histogram in added.items()
            if _is_enough(histogram)
        },
    )


def _is_enough(histogram: ScoreHistogram) -> bool:
    genuine, impostor = int(np.sum(histogram.genuine)), int(np.sum(histogram.impostor))
    return genuine >= MIN_GENUINE_PAIRS and impostor >= MIN_IMPOSTOR_PAIRS
