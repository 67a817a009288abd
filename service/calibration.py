"""The calibration in force: the operator's own where there is one for this bundle, else the bundle's."""

from dataclasses import dataclass
from typing import Literal

from reid.evaluation.calibration import Calibration
from reid.evaluation.camera_calibration import CameraCalibration
from reid.kinds import EmbeddingBundle
from service.gallery.gallery import Gallery
from service.gallery.records import Actor, Moment
from service.gallery.sqlite.calibrations import drop_calibration, keep_calibration, kept_calibration
from service.gallery.sqlite.reading import Reading
from service.problems import CalibrationError


@dataclass(frozen=True)
class InForce:
    """A calibration of the active bundle's scores, where it comes from, and since when."""

    table: CameraCalibration
    source: Literal["bundle", "operator"]
    set_at: Moment | None = None

    def between(self, camera: str | None, other: str | None, rate: float | None = None) -> Calibration:
        """What a score means between a query and a match of these cameras; None: not known.

        Of a pair that was not measured down to the false-match `rate` asked for, the table over all cameras speaks.
        """
        if camera is None or other is None:
            return self.table.overall
        pair = self.table.between(camera, other)
        return pair if rate is None or rate >= pair.false_match_rates[-1] else self.table.overall

    def min_scores(self, rate: float) -> tuple[float, dict[tuple[str, str], float]]:
        """The lowest scores with at most this false-match rate: over all cameras, and by pair of cameras.

        Raises CalibrationError for a rate below what was measured.
        """
        try:
            overall = self.table.overall.score_at(rate)
        except ValueError as error:
            raise CalibrationError(str(error)) from error
        return overall, {pair: self.between(*pair, rate).score_at(rate) for pair in self.table.pairs}


class Calibrations:
    """The calibration in force, and its change; what is set here survives in the gallery's store."""

    def __init__(self, gallery: Gallery, bundle: EmbeddingBundle) -> None:
        self._gallery = gallery
        self._bundle = bundle
        with gallery.store.reading() as reading:
            self.current = self._in_force(reading)

    def set(self, actor: Actor, table: CameraCalibration) -> None:
        """Put the operator's own in force; raises CalibrationError for another bundle's."""
        if table.bundle_id != self._bundle.id:
            raise CalibrationError(f"expected a calibration of bundle {self._bundle.id}, got one of {table.bundle_id}")
        kept = table.to_json()
        self._gallery.store.write(
            lambda writing: keep_calibration(writing, actor, self._bundle.id, kept), committed=self._follow
        )

    def reset(self, actor: Actor) -> None:
        """Go back to the bundle's own."""
        self._gallery.store.write(
            lambda writing: drop_calibration(writing, actor, self._bundle.id), committed=self._follow
        )

    def _follow(self, reading: Reading, _: None) -> None:
        self.current = self._in_force(reading)

    def _in_force(self, reading: Reading) -> InForce | None:
        kept = kept_calibration(reading, self._bundle.id)
        if kept is not None:
            return InForce(CameraCalibration.from_json(kept.table), "operator", kept.set_at)
        own = self._bundle.calibration
        return None if own is None else InForce(CameraCalibration(self._bundle.id, own, {}), "bundle")
