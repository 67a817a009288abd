"""Classifiers: an image in, labels with scores out."""

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool

from reid.predictors.label_score import ranked
from service.auth import GuardedRoute
from service.bodies import IMAGE_BODIES, from_base64, invalid, media_type, read_form, read_json, single, validated
from service.crops import computed
from service.dependencies import ActorOf, CoreOf, ViewerOf
from service.gallery.errors import ForbiddenError
from service.leaving import until_gone
from service.openapi import image_body
from service.schemas.classifiers import (
    ClassifiedOut,
    ClassifierOut,
    ClassifiersAnswer,
    ClassifyAnswer,
    ClassifyFields,
    ClassifyIn,
    LabelOut,
)

router = APIRouter(tags=["classifiers"], route_class=GuardedRoute)

_TEXTS = {"sighting_id": "the best label becomes an attribute of this sighting; without a file, its crop is classified"}


@router.get("/v1/classifiers")
def list_classifiers(core: CoreOf) -> ClassifiersAnswer:
    """List the classifiers on disk, with their labels."""
    found = core.classifiers.on_disk()
    return ClassifiersAnswer(
        classifiers=[
            ClassifierOut(name=name, bundle_id=bundle.id, labels=list(bundle.labels)) for name, bundle in found.items()
        ]
    )


@router.post("/v1/classifiers/{name}", openapi_extra=image_body(ClassifyIn, _TEXTS))
async def classify(name: str, request: Request, core: CoreOf, actor: ActorOf, viewer: ViewerOf) -> ClassifyAnswer:
    """Classify images: every label with its score. A classifier is loaded when it is first asked.

    With `sighting_id` the best label becomes an attribute of that sighting, under the classifier's name, beside those
    it has; that needs the scope `enrol` too.
    """
    images, sighting_id = await _read(request)
    if sighting_id is not None and "enrol" not in viewer.scopes:
        raise ForbiddenError("expected a key with the scope enrol to label a sighting, got one without")
    if not images:
        assert sighting_id is not None
        images = [await run_in_threadpool(core.gallery.crop, actor, sighting_id)]
    classifier = core.classifiers.loaded(name)
    if classifier is None:
        classifier = await run_in_threadpool(core.classifiers.load, name)
    # A classifier that was loaded just now had no house when the request arrived.
    ticket = getattr(request.state, "ticket", None) or classifier.queue.admission.arrive()
    try:
        scores = await until_gone(request, computed(classifier.queue, ticket, images))
    finally:
        ticket.leave()
    labelled = [ranked(classifier.bundle.labels, row) for row in scores]
    if sighting_id is not None:
        await run_in_threadpool(core.gallery.label_sighting, actor, sighting_id, name, labelled[0][0].label)
    return ClassifyAnswer(
        results=[
            ClassifiedOut(labels=[LabelOut(label=one.label, score=one.score) for one in labels]) for labels in labelled
        ],
        bundle_id=classifier.bundle.id,
        change=core.gallery.change,
    )


async def _read(request: Request) -> tuple[list[bytes], str | None]:
    if media_type(request, *IMAGE_BODIES) == "application/json":
        body = validated(ClassifyIn, await read_json(request))
        images, sighting_id = from_base64(body.images), body.sighting_id
    else:
        form = await read_form(request)
        fields = validated(ClassifyFields, {name: single(form, name) for name in form.texts})
        images, sighting_id = form.files, fields.sighting_id
    if sighting_id is None and not images:
        raise invalid(("body",), "expected at least one image, or a sighting_id")
    if sighting_id is not None and len(images) > 1:
        raise invalid(("body",), f"expected at most one image with a sighting_id, got {len(images)}")
    return images, sighting_id
