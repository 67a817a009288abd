"""Export and import: the whole gallery as one file, and such a file into the gallery."""

import hashlib
from typing import IO, Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, Response

from service.auth import GuardedRoute
from service.bodies import media_type
from service.core import Core
from service.dependencies import ActorOf, CoreOf, ViewerOf
from service.fields import Read
from service.gallery.errors import ConflictError, NotFoundError
from service.gallery.records import new_id
from service.gallery.sqlite import jobs
from service.gallery.transfer import check_archive
from service.idempotency import IdempotencyKey, once
from service.openapi import BACKGROUND
from service.problems import ClientGoneError
from service.routes.jobs import accepted, answer
from service.schemas.jobs import JobAnswer

router = APIRouter(tags=["data"], route_class=GuardedRoute)

MEDIA_TYPE = "application/zstd"
_ARCHIVE = {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}
_FETCHED: dict[int | str, dict[str, Any]] = {
    200: {"content": _ARCHIVE, "description": "The archive"},
    206: {"content": _ARCHIVE, "description": "The part of it that `Range` asked for"},
    416: {"description": "No such part"},
}


@router.post("/v1/export", status_code=202, response_model=JobAnswer, responses=BACKGROUND)
def export(core: CoreOf, actor: ActorOf, idempotency_key: IdempotencyKey = None) -> Response:
    """Start to write the whole gallery into one file: images, vectors of every bundle, people. A job.

    Once it is done the file is at `/v1/export/{job_id}/archive`, until the job is forgotten or anybody is erased.
    """
    asked = once(idempotency_key, ["export"], answer(core))
    return accepted(core.jobs.start(actor, "export", {}, once=asked), core)


@router.get("/v1/export/{job_id}/archive", response_class=FileResponse, responses=_FETCHED)
def get_archive(
    job_id: str, query: Annotated[Read, Query()], core: CoreOf, actor: ActorOf, viewer: ViewerOf
) -> Response:
    """Get what an export wrote; `Range` fetches a part. 409 before it is done, 410 once somebody was erased since."""
    core.gallery.wait_for(query.min_change)
    with core.gallery.reading(actor) as reading:
        job = jobs.seen_job(reading, job_id, viewer)
    if job.kind != "export" or job.state in ("failed", "cancelled"):
        raise NotFoundError(f"expected an export, got a job of kind {job.kind} that is {job.state}")
    if job.state != "done":
        raise ConflictError(f"expected an export that is done, got one that is {job.state}")
    path, headers = core.gallery.archives.path(job_id), {"Cache-Control": "private, no-store"}
    return FileResponse(path, media_type=MEDIA_TYPE, filename=f"reid-{job_id}.tar.zst", headers=headers)


@router.post(
    "/v1/import",
    status_code=202,
    response_model=JobAnswer,
    responses=BACKGROUND,
    openapi_extra={"requestBody": {"required": True, "content": _ARCHIVE}},
)
async def take_in(request: Request, core: CoreOf, actor: ActorOf, idempotency_key: IdempotencyKey = None) -> Response:
    """Send what an export wrote; it is read to its end first, and refused whole if anything is wrong. Then a job.

    What is here already stays as it is, and who was erased here stays erased: to import again changes nothing.
    """
    media_type(request, MEDIA_TYPE)
    job_id, archives = new_id(), core.gallery.archives
    try:
        with archives.holding(job_id):
            with archives.writing(job_id) as file:
                sha256 = await _received(request, file)
                size = file.tell()
                sightings = await run_in_threadpool(_checked, core, file)
            asked = once(idempotency_key, ["import", sha256], answer(core))
            about = {"sha256": sha256, "bytes": size, "sightings": sightings}
            written = await run_in_threadpool(core.jobs.start, actor, "import", about, once=asked, job_id=job_id)
    finally:
        await run_in_threadpool(core.gallery.sweep_archives)  # of what came to no job of its own
    return accepted(written, core)


async def _received(request: Request, file: IO[bytes]) -> str:
    """Write the body into the file as it comes; its sha256."""
    digest = hashlib.sha256()

    def keep(chunk: bytes) -> None:
        digest.update(chunk)
        file.write(chunk)

    try:
        async for chunk in request.stream():
            await run_in_threadpool(keep, chunk)
    except ClientDisconnect as error:
        raise ClientGoneError("expected an archive to its end, got a part from a client that left") from error
    return digest.hexdigest()


def _checked(core: Core, file: IO[bytes]) -> int:
    file.seek(0)
    return check_archive(core.gallery, file)
