"""Detections: where people are in whole frames, nothing kept."""

from fastapi import APIRouter, Request

from service.auth import GuardedRoute
from service.bodies import ImagesIn, images_alone
from service.dependencies import CoreOf
from service.detector import required
from service.leaving import until_gone
from service.openapi import image_body
from service.schemas.detections import DetectAnswer, DetectionOut, FrameOut

router = APIRouter(tags=["detections"], route_class=GuardedRoute)


@router.post("/v1/detections", openapi_extra=image_body(ImagesIn, {}))
async def detect(request: Request, core: CoreOf) -> DetectAnswer:
    """Find the people in whole frames: a box each, to enrol or search with as `box_xyxy`. Needs REID_DETECTOR."""
    detector = required(core.detector)
    images = await images_alone(request)
    ticket = request.state.ticket
    ticket.begin(len(images))
    found = await until_gone(request, detector.people(images, ticket))
    return DetectAnswer(
        frames=[FrameOut(people=[DetectionOut.of(detection) for detection in people]) for people in found]
    )
