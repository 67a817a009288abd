"""Calibration: what a score means."""

import json
from typing import Annotated

from fastapi import APIRouter, Query

from reid.evaluation.calibration import Calibration
from reid.evaluation.camera_calibration import CameraCalibration
from service.auth import GuardedRoute
from service.calibration import InForce
from service.core import Core
from service.dependencies import ActorOf, CoreOf, ViewerOf
from service.evaluation.job import CALIBRATION
from service.fields import Read, shown
from service.gallery.errors import NotFoundError
from service.gallery.records import Actor
from service.gallery.sqlite import jobs
from service.gallery.sqlite.jobs import Viewer
from service.problems import CalibrationError
from service.schemas.calibration import CalibrationAnswer, CalibrationIn, CalibrationOut, CameraPairOut, CurveOut

router = APIRouter(tags=["calibration"], route_class=GuardedRoute)


@router.get("/v1/calibration")
def get_calibration(query: Annotated[Read, Query()], core: CoreOf, actor: ActorOf) -> CalibrationAnswer:
    """Get the calibration in force: at each score, how often two different people reach it.

    Between two cameras that were seen often enough it has a table of their own. A key limited to cameras sees the
    tables between these.
    """
    core.gallery.wait_for(query.min_change)
    return _answer(core, actor)


@router.put("/v1/calibration")
def set_calibration(given: CalibrationIn, core: CoreOf, actor: ActorOf, viewer: ViewerOf) -> CalibrationAnswer:
    """Put a calibration in force in place of the bundle's own: one that an evaluation here measured, or a given one.

    It is kept, and holds for the active bundle; a calibration of another bundle is refused.
    """
    core.model.calibrations.set(actor, _table(given, core, viewer))
    return _answer(core, actor)


@router.delete("/v1/calibration")
def reset_calibration(core: CoreOf, actor: ActorOf) -> CalibrationAnswer:
    """Go back to the bundle's own calibration. 404 if it has none; then none is in force."""
    core.model.calibrations.reset(actor)
    return _answer(core, actor)


def summary(in_force: InForce | None) -> CalibrationOut | None:
    """Which calibration is in force, if any."""
    if in_force is None:
        return None
    return CalibrationOut(
        domain=in_force.table.overall.domain,
        source=in_force.source,
        bundle_id=in_force.table.bundle_id,
        set_at=shown(in_force.set_at),
    )


def _table(given: CalibrationIn, core: Core, viewer: Viewer) -> CameraCalibration:
    raw = given.calibration
    if raw is None:
        assert given.evaluation_id is not None
        with core.gallery.store.reading() as reading:
            job = jobs.seen_job(reading, given.evaluation_id, viewer)
            raw = json.loads(jobs.job_file(reading, job, CALIBRATION).content)
    try:
        return CameraCalibration.from_json(raw)
    except (ValueError, TypeError, KeyError) as error:
        raise CalibrationError(f"expected a calibration as `reid-trainer calibrate` writes it: {error}") from error


def _answer(core: Core, actor: Actor) -> CalibrationAnswer:
    in_force = core.model.calibrations.current
    brief = summary(in_force)
    if in_force is None or brief is None:
        raise NotFoundError("expected a calibration in force, got a bundle without one")
    pairs = [
        CameraPairOut(cameras=list(cameras), **_curve(table).model_dump())
        for cameras, table in in_force.table.pairs.items()
        if actor.cameras is None or actor.cameras.issuperset(cameras)
    ]
    return CalibrationAnswer(
        **brief.model_dump(),
        **_curve(in_force.table.overall).model_dump(),
        camera_pairs=pairs,
        change=core.gallery.change,
    )


def _curve(table: Calibration) -> CurveOut:
    return CurveOut(
        scores=list(table.scores),
        false_match_rates=list(table.false_match_rates),
        true_match_rates=list(table.true_match_rates),
        num_impostor_pairs=table.num_impostor_pairs,
        num_genuine_pairs=table.num_genuine_pairs,
    )
