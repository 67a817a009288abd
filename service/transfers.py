"""Export and import as jobs, and the archives that they write and read."""

from dataclasses import asdict
from functools import partial

from service.gallery.errors import ErasedError
from service.gallery.gallery import Gallery
from service.gallery.sqlite.jobs import Outcome
from service.gallery.transfer import export_gallery, import_archive
from service.jobs import Handler, Task

_ATTEMPTS = 3  # at an export: each erasure meanwhile is the end of one


def export_of(gallery: Gallery) -> Handler:
    """What writes a gallery into the archive of the job."""
    return partial(_export, gallery)


def import_into(gallery: Gallery) -> Handler:
    """What takes the archive of the job into a gallery; begun again, it goes on."""
    return partial(_import, gallery)


def _export(gallery: Gallery, task: Task) -> Outcome:
    for left in reversed(range(_ATTEMPTS)):
        try:
            return _exported(gallery, task)
        except ErasedError:
            if not left:
                raise
    raise AssertionError("the last attempt returns or raises")


def _exported(gallery: Gallery, task: Task) -> Outcome:
    with gallery.archives.writing(task.job_id) as file:
        with gallery.store.reading() as reading:
            total = reading.count_sightings()

        def progress(done: int) -> None:
            gallery.archives.check_unfinished(task.job_id)
            task.step(done, max(done, total))

        sightings = export_gallery(gallery, task.actor, file, progress)
        size = file.tell()
    return Outcome({"sightings": sightings, "bytes": size})


def _import(gallery: Gallery, task: Task) -> Outcome:
    def progress(done: int) -> None:
        gallery.archives.path(task.job_id)  # gone: somebody was erased, who may be in it
        task.step(done, task.request["sightings"])

    with gallery.archives.path(task.job_id).open("rb") as file:
        return Outcome(asdict(import_archive(gallery, task.actor, file, progress)))
