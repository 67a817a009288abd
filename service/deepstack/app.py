"""People where DeepStack and CodeProject.AI know faces, for recorders and hubs that speak their dialect already.

`userid` is our person_id, and a prediction's `confidence` the cosine of the best match. The field `api_key` is handed
on as the key: this program keeps none, and nothing else.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import httpx
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reid.errors import ImageError, ReidError
from reid.images import crop_box, decode_image, encode_crop
from service import client
from service.bodies import Form, read_form
from service.client import AsyncClient, ServiceError
from service.middleware import BodyLimit
from service.problems import problem_of

UNKNOWN = "unknown"
MOST_BODY_BYTES = 32 * 2**20
_FALSE_MATCH_RATE = 1e-4  # where nobody says how sure a match must be
_MOST_FIELDS = 20
_CANDIDATES = 5  # among them the best that has a name
Box = Sequence[float]
Answering = Callable[[AsyncClient, Form], Awaitable[dict[str, Any]]]


class DialectError(ReidError):
    """A field that is missing or cannot be read."""


def deepstack_app(url: str) -> Starlette:
    """The dialect before the service at `url`."""
    answers: dict[str, Answering] = {"register": _register, "recognize": _recognize, "list": _list, "delete": _delete}
    routes = [
        Route(f"/v1/vision/face/{name}", partial(_answered, url, answer), methods=["POST"])
        for name, answer in answers.items()
    ]
    limit = Middleware(BodyLimit, max_bytes=MOST_BODY_BYTES, max_archive_bytes=MOST_BODY_BYTES)
    return Starlette(routes=[*routes, Route("/v1/status/ping", _ping)], middleware=[limit])


async def _ping(_: Request) -> Response:
    return JSONResponse({"success": True})


async def _answered(url: str, answer: Answering, request: Request) -> Response:
    try:
        form = await _read(request)
        async with AsyncClient(url, _text(form, "api_key") or None) as reid:
            return JSONResponse({"success": True, **await answer(reid, form)})
    except ServiceError as error:
        return _refused(error, error.status)
    except httpx.TransportError as error:
        return _refused(f"expected the service to answer, got {type(error).__name__}", 502)
    except DialectError as error:
        return _refused(error, 400)
    except ReidError as error:
        return _refused(error, problem_of(error).status)


async def _read(request: Request) -> Form:
    """A multipart body, or without files a form like a page's, or nothing."""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await read_form(request, is_file=lambda name: name.startswith("image"))
    try:
        return Form(texts=parse_qs((await request.body()).decode(), max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        raise DialectError("expected a form, got something else") from error


def _refused(said: object, status: int) -> Response:
    return JSONResponse({"success": False, "error": str(said)}, status)


async def _register(reid: AsyncClient, form: Form) -> dict[str, Any]:
    """Each image's most certain person, or without a detector the image itself, is enrolled as `userid`."""
    userid, images = _required(form, "userid"), _images(form)
    crops = []
    for image in images:
        boxes = await _boxes(reid, image)
        crops += await run_in_threadpool(_cut, image, boxes[:1])
    await reid.send(client.enrol(crops, person_id=userid))
    return {"message": "face added"}


async def _recognize(reid: AsyncClient, form: Form) -> dict[str, Any]:
    """Everybody in the one image, with the person whom the best match names, or `unknown`."""
    images = _images(form)
    if len(images) != 1:
        raise DialectError(f"expected one image, got {len(images)}")
    boxes = await _boxes(reid, images[0])
    if not boxes:
        return {"predictions": []}
    found = await reid.send(
        client.search(
            queries=[{"images": client.as_base64([crop])} for crop in await run_in_threadpool(_cut, images[0], boxes)],
            top_k=_CANDIDATES,
            group_by="person",
            **_sureness(form),
        )
    )
    return {
        "predictions": [
            {**_prediction([match for match in result.matches if match.person_id is not None]), **_corners(box)}
            for box, result in zip(boxes, found.results, strict=True)
        ]
    }


async def _list(reid: AsyncClient, _: Form) -> dict[str, Any]:
    pages = reid.pages(client.persons(limit=1000))
    return {"faces": [person.person_id async for page in pages for person in page.persons]}


async def _delete(reid: AsyncClient, form: Form) -> dict[str, Any]:
    """Erase somebody; needs a key with the scope erase."""
    await reid.send(client.erase_person(_required(form, "userid")))
    return {}


async def _boxes(reid: AsyncClient, image: bytes) -> list[Box]:
    """Where the people are, best first; the whole image where the service has no detector."""
    try:
        (frame,) = (await reid.send(client.detect([image]))).frames
    except ServiceError as error:
        if error.code != "no_detector":
            raise
        width, height = (await run_in_threadpool(decode_image, image)).size
        return [(0, 0, width, height)]
    return [person.box_xyxy for person in frame.people]


def _cut(image: bytes, boxes: Sequence[Box]) -> list[bytes]:
    """The crop of each box; raises ImageError where there is none to cut."""
    if not boxes:
        raise ImageError("expected an image with a person in it, but the detector found nobody")
    frame = decode_image(image)
    return [encode_crop(crop_box(frame, box)) for box in boxes]


def _prediction(known: Sequence[Any]) -> dict[str, Any]:
    if not known:
        return {"userid": UNKNOWN, "confidence": 0.0}
    return {"userid": known[0].person_id, "confidence": max(0.0, known[0].score)}


def _corners(box: Box) -> dict[str, int]:
    return dict(zip(("x_min", "y_min", "x_max", "y_max"), map(round, box), strict=True))


def _sureness(form: Form) -> dict[str, Any]:
    text = _text(form, "min_confidence")
    if text is None:
        return {"max_false_match_rate": _FALSE_MATCH_RATE}
    try:
        score = float(text)
    except ValueError as error:
        raise DialectError(f"expected min_confidence from 0 to 1, got {text[:20]!r}") from error
    if not 0 <= score <= 1:
        raise DialectError(f"expected min_confidence from 0 to 1, got {text[:20]!r}")
    return {"min_score": score}


def _images(form: Form) -> list[bytes]:
    if not form.files:
        raise DialectError("expected an image, got none")
    return form.files


def _required(form: Form, name: str) -> str:
    text = _text(form, name)
    if not text:
        raise DialectError(f"expected {name}, got none")
    return text


def _text(form: Form, name: str) -> str | None:
    values = form.texts.get(name, [])
    if len(values) > 1:
        raise DialectError(f"expected one {name}, got {len(values)}")
    return values[0] if values else None
