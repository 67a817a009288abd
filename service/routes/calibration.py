"""Calibration: what a score means."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.auth import GuardedRoute
from service.core import Core
from service.dependencies import CoreOf
from service.fields import Read
from service.gallery.errors import NotFoundError
from service.schemas.models import CalibrationAnswer, CalibrationOut

router = APIRouter(tags=["calibration"], route_class=GuardedRoute)


@router.get("/v1/calibration")
def get_calibration(query: Annotated[Read, Query()], core: CoreOf) -> CalibrationAnswer:
    """Get the calibration in force: at each score, how often two different people reach it."""
    core.gallery.wait_for(query.min_change)
    calibration, brief = core.calibration, summary(core)
    if calibration is None or brief is None:
        raise NotFoundError("expected a bundle with a calibration, got one without")
    return CalibrationAnswer(
        **brief.model_dump(),
        scores=list(calibration.scores),
        false_match_rates=list(calibration.false_match_rates),
        true_match_rates=list(calibration.true_match_rates),
        num_impostor_pairs=calibration.num_impostor_pairs,
        num_genuine_pairs=calibration.num_genuine_pairs,
        change=core.gallery.change,
    )


def summary(core: Core) -> CalibrationOut | None:
    """Which calibration is in force, if any."""
    if core.calibration is None:
        return None
    return CalibrationOut(domain=core.calibration.domain, source="bundle", bundle_id=core.gallery.bundle_id)
