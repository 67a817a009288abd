"""A client of the REST interface, blocking or async: a call is described once, and sent by either."""

import asyncio
import base64
import dataclasses
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Generic, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from service.fields import PageAnswer
from service.gallery.sqlite.jobs import OPEN
from service.keys import HEADER
from service.schemas.actions import ActionsAnswer
from service.schemas.classifiers import ClassifiersAnswer, ClassifyAnswer
from service.schemas.detections import DetectAnswer
from service.schemas.evaluations import EvaluationIn
from service.schemas.jobs import JobAnswer, JobRemovedAnswer, JobsAnswer
from service.schemas.models import EmbeddingsAnswer, ModelsAnswer
from service.schemas.persons import ErasureAnswer, PersonAnswer, PersonsAnswer
from service.schemas.search import SearchAnswer
from service.schemas.sightings import DeletedAnswer, EnrolAnswer, SightingAnswer, SightingsAnswer

DEFAULT_URL = "http://127.0.0.1:8000"
_TRIED_AGAIN = (429, 503, 504)
_LONGEST_PAUSE_S = 30.0
_SEARCH, _IMPORT = "/v1/search", "/v1/import"
_UPLOADED = {"Content-Type": "application/zstd"}
_UPLOAD_TIMEOUT = httpx.Timeout(60.0, read=3600.0)  # an archive is read to its end before the answer comes
_PIECE_BYTES = 2**20


Answer = TypeVar("Answer", bound=BaseModel)
PagedAnswer = TypeVar("PagedAnswer", bound=PageAnswer)


class ServiceError(Exception):
    """The service refused: `status` and `code` of its problem, its words, and the request's id for its log."""

    def __init__(self, status: int, code: str, detail: str, request_id: str) -> None:
        super().__init__(f"{detail} ({status} {code}, request {request_id})")
        self.status = status
        self.code = code
        self.request_id = request_id


@dataclass(frozen=True)
class Call(Generic[Answer]):
    """A request and what its answer is read as. Only what does nothing twice is sent again after a failure."""

    answer: type[Answer]
    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    files: Mapping[str, bytes] | None = None
    form: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice is sending it once."""
        once = "Idempotency-Key" in self.headers or self.answer is ErasureAnswer  # an erasure gives its receipt again
        return self.method in ("GET", "PUT") or once or self.path == _SEARCH

    @property
    def request(self) -> dict[str, Any]:
        """What httpx's clients, of either kind, send it by."""
        return {
            "method": self.method,
            "url": self.path,
            "params": self.query,
            "json": self.json,
            "files": self.files,
            "data": self.form,
            "headers": self.headers,
        }

    def after(self, cursor: str) -> Self:
        """The same list, from there on."""
        return dataclasses.replace(self, query={**self.query, "cursor": cursor})


def enrol(images: Sequence[bytes], **fields: Any) -> Call[EnrolAnswer]:
    """Enrol crops (JPEG, PNG, WebP), with the fields of `POST /v1/sightings`: person_id, camera_id, captured_at …"""
    return Call(
        EnrolAnswer, "POST", "/v1/sightings", json={"images": as_base64(images), **said(fields)}, headers=_once()
    )


def search(images: Sequence[bytes] = (), **terms: Any) -> Call[SearchAnswer]:
    """Search by images of one person, or with `queries` of any kind; the terms are those of `POST /v1/search`."""
    body = {"queries": [{"images": as_base64(images)}]} if images else {}
    return Call(SearchAnswer, "POST", _SEARCH, json={**body, **said(terms)})


def embed(images: Sequence[bytes]) -> Call[EmbeddingsAnswer]:
    """The vectors of images; nothing is kept."""
    return Call(EmbeddingsAnswer, "POST", "/v1/embeddings", json={"images": as_base64(images)})


def detect(frames: Sequence[bytes]) -> Call[DetectAnswer]:
    """Where people are in whole frames; needs a service with REID_DETECTOR."""
    return Call(DetectAnswer, "POST", "/v1/detections", json={"images": as_base64(frames)})


def persons(**query: Any) -> Call[PersonsAnswer]:
    """A page of people: tag, limit."""
    return Call(PersonsAnswer, "GET", "/v1/persons", query=said(query))


def person(person_id: str) -> Call[PersonAnswer]:
    """One person."""
    return Call(PersonAnswer, "GET", f"/v1/persons/{_quoted(person_id)}")


def add_person(person_id: str, **fields: Any) -> Call[PersonAnswer]:
    """Add a person: name, tags, metadata."""
    return Call(PersonAnswer, "POST", "/v1/persons", json={"person_id": person_id, **said(fields)}, headers=_once())


def change_person(person_id: str, **fields: Any) -> Call[PersonAnswer]:
    """Set fields of a person; None clears a name."""
    return Call(PersonAnswer, "PATCH", f"/v1/persons/{_quoted(person_id)}", json=fields)


def erase_person(person_id: str) -> Call[ErasureAnswer]:
    """Erase a person; the answer is the receipt."""
    return Call(ErasureAnswer, "DELETE", f"/v1/persons/{_quoted(person_id)}")


def merge(person_id: str, other_id: str) -> Call[PersonAnswer]:
    """Two identities were one."""
    path = f"/v1/persons/{_quoted(person_id)}/merge"
    return Call(PersonAnswer, "POST", path, json={"other_id": other_id}, headers=_once())


def split(person_id: str, sighting_ids: Sequence[str], into: str | None = None) -> Call[PersonAnswer]:
    """One identity was two."""
    path, body = f"/v1/persons/{_quoted(person_id)}/split", {"sighting_ids": list(sighting_ids), "into": into}
    return Call(PersonAnswer, "POST", path, json=body, headers=_once())


def sightings(**query: Any) -> Call[SightingsAnswer]:
    """A page of sightings: person_id, camera_id, tracklet_id, known, tag, since, until, order, limit."""
    return Call(SightingsAnswer, "GET", "/v1/sightings", query=said(query))


def sighting(sighting_id: str) -> Call[SightingAnswer]:
    """One sighting."""
    return Call(SightingAnswer, "GET", f"/v1/sightings/{_quoted(sighting_id)}")


def change_sighting(sighting_id: str, **fields: Any) -> Call[SightingAnswer]:
    """Set fields of a sighting: person_id (None: unknown), tags, metadata."""
    return Call(SightingAnswer, "PATCH", f"/v1/sightings/{_quoted(sighting_id)}", json=fields)


def delete_sighting(sighting_id: str) -> Call[DeletedAnswer]:
    """Delete a sighting with its vector and image."""
    return Call(DeletedAnswer, "DELETE", f"/v1/sightings/{_quoted(sighting_id)}")


def set_attributes(sighting_id: str, attributes: Mapping[str, str]) -> Call[SightingAnswer]:
    """Set the labels of a sighting, in place of those it had."""
    path = f"/v1/sightings/{_quoted(sighting_id)}/attributes"
    return Call(SightingAnswer, "PUT", path, json={"attributes": dict(attributes)})


def classifiers() -> Call[ClassifiersAnswer]:
    """The classifiers there are."""
    return Call(ClassifiersAnswer, "GET", "/v1/classifiers")


def classify(name: str, images: Sequence[bytes] = (), sighting_id: str | None = None) -> Call[ClassifyAnswer]:
    """The labels of images; of a sighting, whose attribute the best one becomes."""
    body = {"images": as_base64(images), **said({"sighting_id": sighting_id})}
    return Call(ClassifyAnswer, "POST", f"/v1/classifiers/{_quoted(name)}", json=body)


def recognise(clip: bytes, **fields: Any) -> Call[ActionsAnswer]:
    """What happens in a clip (MP4, AVI …), with the fields of `POST /v1/actions`: bundle, windows, camera_id …"""
    form = {name: ",".join(value) if name == "labels" else str(value) for name, value in said(fields).items()}
    return Call(ActionsAnswer, "POST", "/v1/actions", files={"file": clip}, form=form, headers=_once())


def models() -> Call[ModelsAnswer]:
    """The bundles there are, the one in force first."""
    return Call(ModelsAnswer, "GET", "/v1/models")


def activate(bundle_id: str) -> Call[JobAnswer]:
    """Put a bundle on disk in force: a job."""
    return Call(JobAnswer, "POST", "/v1/models/activate", json={"bundle_id": bundle_id}, headers=_once())


def roll_back() -> Call[JobAnswer]:
    """Put the bundle in force that was before: a job."""
    return Call(JobAnswer, "POST", "/v1/models/rollback", headers=_once())


def evaluate(asked: EvaluationIn | None = None) -> Call[JobAnswer]:
    """Start an evaluation of the live gallery: a job."""
    body = (asked or EvaluationIn()).model_dump(mode="json", exclude_unset=True)
    return Call(JobAnswer, "POST", "/v1/evaluations", json=body, headers=_once())


def export() -> Call[JobAnswer]:
    """Start to write the whole gallery into one file: a job; :meth:`Client.download` fetches the file."""
    return Call(JobAnswer, "POST", "/v1/export", headers=_once())


def jobs(**query: Any) -> Call[JobsAnswer]:
    """A page of jobs, the latest first."""
    return Call(JobsAnswer, "GET", "/v1/jobs", query=said(query))


def job(job_id: str) -> Call[JobAnswer]:
    """One job."""
    return Call(JobAnswer, "GET", f"/v1/jobs/{_quoted(job_id)}")


def remove_job(job_id: str) -> Call[JobRemovedAnswer]:
    """Cancel a job, or forget one that has ended."""
    return Call(JobRemovedAnswer, "DELETE", f"/v1/jobs/{_quoted(job_id)}")


_IMPORTED = Call(JobAnswer, "POST", _IMPORT)


class Client:
    """Sends calls and waits: `Client(url, key).send(search([image]))`.

    `send` raises ServiceError for a refusal and httpx.TransportError without an answer, both after `tries`.
    """

    def __init__(
        self, url: str = DEFAULT_URL, key: str | None = None, *, tries: int = 3, timeout_s: float = 60.0
    ) -> None:
        self._http = httpx.Client(base_url=url, headers=with_key(key), timeout=timeout_s)
        self._tries = tries

    def send(self, call: Call[Answer]) -> Answer:
        """Send it, again where that can help and does no harm, and read the answer."""
        for tries_left in reversed(range(self._tries)):
            try:
                answer = self._http.request(**call.request)
            except httpx.TransportError:
                if not (tries_left and call.repeatable):
                    raise
                continue
            if not (tries_left and _helps_to_wait(call, answer)):
                return _read(call, answer)
            time.sleep(_pause_s(answer))
        raise AssertionError("the last try returns or raises")

    def pages(self, call: Call[PagedAnswer]) -> Iterator[PagedAnswer]:
        """This page of a list and all that follow."""
        answer = self.send(call)
        yield answer
        while answer.next_cursor is not None:
            answer = self.send(call.after(answer.next_cursor))
            yield answer

    def finished(self, job: JobAnswer, every_s: float = 0.5) -> JobAnswer:
        """The job once it has ended, however it did."""
        while job.state in OPEN:
            time.sleep(every_s)
            job = self.send(_job_again(job))
        return job

    def download(self, job_id: str, file: IO[bytes]) -> None:
        """Write what an export wrote into `file`, a piece at a time; where it breaks off, it goes on from there."""
        written = 0
        for tries_left in reversed(range(self._tries)):
            try:
                with self._http.stream("GET", _archive_of(job_id), headers=_from(written)) as answer:
                    if not answer.is_success:
                        answer.read()
                    _check(answer)
                    for piece in answer.iter_bytes():
                        file.write(piece)
                        written += len(piece)
            except httpx.TransportError:
                if not tries_left:
                    raise
            else:
                return

    def upload(self, file: IO[bytes]) -> JobAnswer:
        """Send an archive to be imported, a piece at a time: the job. Not tried again, but to send it twice is safe."""
        answer = self._http.post(_IMPORT, content=_pieces(file), headers=_UPLOADED, timeout=_UPLOAD_TIMEOUT)
        return _read(_IMPORTED, answer)

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient:
    """:class:`Client` for an event loop."""

    def __init__(
        self, url: str = DEFAULT_URL, key: str | None = None, *, tries: int = 3, timeout_s: float = 60.0
    ) -> None:
        self._http = httpx.AsyncClient(base_url=url, headers=with_key(key), timeout=timeout_s)
        self._tries = tries

    async def send(self, call: Call[Answer]) -> Answer:
        """As :meth:`Client.send`."""
        for tries_left in reversed(range(self._tries)):
            try:
                answer = await self._http.request(**call.request)
            except httpx.TransportError:
                if not (tries_left and call.repeatable):
                    raise
                continue
            if not (tries_left and _helps_to_wait(call, answer)):
                return _read(call, answer)
            await asyncio.sleep(_pause_s(answer))
        raise AssertionError("the last try returns or raises")

    async def pages(self, call: Call[PagedAnswer]) -> AsyncIterator[PagedAnswer]:
        """As :meth:`Client.pages`."""
        answer = await self.send(call)
        yield answer
        while answer.next_cursor is not None:
            answer = await self.send(call.after(answer.next_cursor))
            yield answer

    async def finished(self, job: JobAnswer, every_s: float = 0.5) -> JobAnswer:
        """As :meth:`Client.finished`."""
        while job.state in OPEN:
            await asyncio.sleep(every_s)
            job = await self.send(_job_again(job))
        return job

    async def download(self, job_id: str, file: IO[bytes]) -> None:
        """As :meth:`Client.download`."""
        written = 0
        for tries_left in reversed(range(self._tries)):
            try:
                async with self._http.stream("GET", _archive_of(job_id), headers=_from(written)) as answer:
                    if not answer.is_success:
                        await answer.aread()
                    _check(answer)
                    async for piece in answer.aiter_bytes():
                        await asyncio.to_thread(file.write, piece)
                        written += len(piece)
            except httpx.TransportError:
                if not tries_left:
                    raise
            else:
                return

    async def upload(self, file: IO[bytes]) -> JobAnswer:
        """As :meth:`Client.upload`."""

        async def pieces() -> AsyncIterator[bytes]:
            while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
                yield piece

        answer = await self._http.post(_IMPORT, content=pieces(), headers=_UPLOADED, timeout=_UPLOAD_TIMEOUT)
        return _read(_IMPORTED, answer)

    async def close(self) -> None:
        """Let the connections go."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def with_key(key: str | None) -> dict[str, str]:
    """The header that says on whose behalf."""
    return {} if key is None else {HEADER: key}


def as_base64(images: Sequence[bytes]) -> list[str]:
    """As JSON bodies hold images."""
    return [base64.b64encode(image).decode() for image in images]


def said(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def _once() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _helps_to_wait(call: Call[Any], answer: httpx.Response) -> bool:
    return call.repeatable and answer.status_code in _TRIED_AGAIN


def _pause_s(answer: httpx.Response) -> float:
    given = answer.headers.get("Retry-After", "")
    return min(float(given) if given.isdigit() else 1.0, _LONGEST_PAUSE_S)


def _job_again(one: JobAnswer) -> Call[JobAnswer]:
    return job(one.job_id)


def _archive_of(job_id: str) -> str:
    return f"/v1/export/{_quoted(job_id)}/archive"


def _from(byte: int) -> dict[str, str]:
    return {"Range": f"bytes={byte}-"} if byte else {}


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(_PIECE_BYTES):
        yield piece


def _read(call: Call[Answer], answer: httpx.Response) -> Answer:
    _check(answer)
    return call.answer.model_validate_json(answer.content)


def _check(answer: httpx.Response) -> None:
    """Raise ServiceError for a refusal, which must have been read."""
    if answer.is_success:
        return
    raise refusal(answer.status_code, answer.content, answer.headers.get("X-Request-Id", "unknown"))


def refusal(status: int, body: bytes, request_id: str) -> ServiceError:
    """What an answer that is a problem says."""
    try:
        problem = json.loads(body)
        return ServiceError(status, problem["code"], problem["detail"], request_id)
    except (ValueError, KeyError, TypeError):
        message = "expected an answer of this service, got something else"
        return ServiceError(status, "unknown", message, request_id)
