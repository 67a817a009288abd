"""From errors to answers: the one table, and problems as RFC 9457 wants them."""

import json
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from reid import errors as reid_errors
from reid.errors import ReidError
from service.gallery import errors as gallery_errors
from service.keys import HEADER

MEDIA_TYPE = "application/problem+json"


class UnauthorizedError(ReidError):
    """No API key, or none that is known and in force."""


class BodyTooLargeError(ReidError):
    """More bytes than a request may have."""


class MediaTypeError(ReidError):
    """A body that is neither of the types that the route reads."""


class UnreadableBodyError(ReidError):
    """A body that is not what its Content-Type says."""


class QueueFullError(ReidError):
    """More waits already than can be done in time; `retry_after_s` says when there may be room."""

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BundleMissingError(ReidError):
    """The bundle that another service put in force is not on this one's disk."""


class DeadlineError(ReidError):
    """An answer that came too late, and was not waited for."""


class BodyTimeoutError(ReidError):
    """A body that did not come to its end."""


class ClientGoneError(ReidError):
    """A client that left before it was answered: nobody reads this."""


class CalibrationError(ReidError):
    """A false-match rate that the calibration in force cannot turn into a score, or none in force."""


class NoDetectorError(ReidError):
    """Whole frames, where nothing is set that finds people in them."""


class NobodyFoundError(ReidError):
    """A frame in which the detector found nobody."""


class EvaluationError(ReidError):
    """A gallery that this evaluation can say nothing about."""


class WebhookError(ReidError):
    """An address that a webhook may not call."""


class StreamMessageError(ReidError):
    """A message that a stream does not take."""


class RateLimitedError(ReidError):
    """More requests than the key may make; `retry_after_s` says when the next one is let through."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UntrustedOriginError(ReidError):
    """A request that another page or machine had made: with REID_AUTH=off, or with a session's cookie."""


class Problem(NamedTuple):
    """How a class of errors is answered."""

    status: int
    code: str
    title: str


PROBLEMS: dict[type[Exception], Problem] = {
    UnauthorizedError: Problem(401, "unauthorized", "An API key is needed"),
    gallery_errors.ForbiddenError: Problem(403, "forbidden", "The key does not allow this"),
    UntrustedOriginError: Problem(403, "untrusted_origin", "Not asked from here"),
    gallery_errors.NotFoundError: Problem(404, "not_found", "No such record"),
    gallery_errors.ConflictError: Problem(409, "conflict", "The record is not in a state for this"),
    gallery_errors.NotEmbeddedError: Problem(409, "not_embedded", "No vector of the active bundle"),
    gallery_errors.IdempotencyError: Problem(409, "idempotency_key_reused", "Another request had this key"),
    gallery_errors.ErasedError: Problem(410, "erased", "The answer was erased"),
    BodyTooLargeError: Problem(413, "body_too_large", "Too many bytes"),
    reid_errors.ImageTooLargeError: Problem(413, "image_too_large", "Too many bytes"),
    reid_errors.ClipTooLargeError: Problem(413, "clip_too_large", "Too many bytes"),
    reid_errors.ClipFormatError: Problem(415, "clip_format", "Not an accepted video format"),
    reid_errors.ClipError: Problem(422, "clip", "The clip cannot be used"),
    gallery_errors.BundleChangedError: Problem(503, "bundle_changed", "The bundle was switched meanwhile"),
    BundleMissingError: Problem(503, "bundle_missing", "The bundle in force is not here"),
    MediaTypeError: Problem(415, "unsupported_media_type", "Not a type that this route reads"),
    reid_errors.ImageFormatError: Problem(415, "image_format", "Not an accepted image format"),
    BodyTimeoutError: Problem(408, "body_timeout", "The body did not come"),
    UnreadableBodyError: Problem(400, "unreadable_body", "The body cannot be read"),
    reid_errors.ImageError: Problem(422, "image", "The image cannot be used"),
    reid_errors.BoxError: Problem(422, "box", "The box cannot be cut"),
    reid_errors.VectorError: Problem(422, "vector", "The vector cannot be used"),
    gallery_errors.ArchiveError: Problem(422, "archive", "The archive cannot be used"),
    gallery_errors.FilterError: Problem(422, "filter", "The filter contradicts itself"),
    gallery_errors.CursorError: Problem(422, "cursor", "The cursor is not one of ours"),
    NoDetectorError: Problem(422, "no_detector", "Nothing finds people in whole frames"),
    NobodyFoundError: Problem(422, "nobody_found", "Nobody in the frame"),
    CalibrationError: Problem(422, "calibration", "The calibration cannot answer this"),
    WebhookError: Problem(422, "webhook", "The address cannot be called"),
    StreamMessageError: Problem(422, "stream_message", "Not a frame"),
    RateLimitedError: Problem(429, "rate_limited", "Too many requests"),
    EvaluationError: Problem(422, "evaluation", "Nothing can be said of this gallery"),
    gallery_errors.ChangeNotReachedError: Problem(503, "change_not_reached", "The change is not here yet"),
    QueueFullError: Problem(503, "queue_full", "Too much waits already"),
    DeadlineError: Problem(504, "deadline", "It took too long"),
    ClientGoneError: Problem(499, "client_gone", "The client left"),
    gallery_errors.IndexAwayError: Problem(503, "index_away", "The index does not answer"),
    gallery_errors.StoreError: Problem(503, "store", "The store refused"),
}

_RETRY_AFTER_S = 1


def install(app: FastAPI) -> None:
    """Answer every error with a problem, FastAPI's and Starlette's own included."""
    app.add_exception_handler(ReidError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_bug)


def problem_of(error: Exception) -> Problem:
    """The row of the nearest class of `error` in the table; an error without one is a bug of ours."""
    for kind in type(error).__mro__:
        if kind in PROBLEMS:
            return PROBLEMS[kind]
    return Problem(500, "internal", "Something is wrong with the service")


def problem_response(
    problem: Problem,
    detail: str,
    scope: Any,
    errors: list[dict[str, Any]] | None = None,
    retry_after_s: int = _RETRY_AFTER_S,
) -> Response:
    """A problem for the request of `scope`, as `application/problem+json`."""
    request_id = scope.get("state", {}).get("request_id")
    content = {
        "type": f"urn:reid:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "instance": scope["path"],
        "code": problem.code,
        "request_id": request_id,
        "errors": errors or [],
    }
    headers = {"X-Request-Id": request_id} if request_id else {}
    if problem.status in (429, 503, 504):
        headers["Retry-After"] = str(retry_after_s)
    if problem.status == 408:
        headers["Connection"] = "close"
    if problem.status == 401:
        headers["WWW-Authenticate"] = f'ApiKey header="{HEADER}"'
    # ASCII: what a caller sent may hold halves of characters, which no encoding can write.
    return Response(json.dumps(content), problem.status, headers, MEDIA_TYPE)


async def _on_error(request: Request, error: Exception) -> Response:
    retry_after_s = getattr(error, "retry_after_s", _RETRY_AFTER_S)
    return problem_response(problem_of(error), str(error), request.scope, retry_after_s=retry_after_s)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return invalid_response(error, request.scope)


def invalid_response(error: RequestValidationError, scope: Any) -> Response:
    """The problem of fields that do not fit."""
    found = [
        {"loc": [str(part) for part in part["loc"]], "message": part["msg"], "type": part["type"]}
        for part in error.errors()
    ]
    if any(part["type"] == "json_invalid" for part in found):
        return problem_response(PROBLEMS[UnreadableBodyError], "expected JSON, got something else", scope)
    first = found[0]
    detail = f"{'.'.join(first['loc'])}: {first['message']}"
    return problem_response(Problem(422, "invalid", "A field is not valid"), detail, scope, found)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, ReidError):  # FastAPI wraps what is raised while it reads a body
        return await _on_error(request, error.__cause__)
    if isinstance(error.__cause__, ValueError | RecursionError):  # neither UTF-8 nor of bearable depth
        return problem_response(PROBLEMS[UnreadableBodyError], "expected JSON, got something else", request.scope)
    phrase = HTTPStatus(error.status_code).phrase
    problem = Problem(error.status_code, phrase.lower().replace(" ", "_"), phrase)
    response = problem_response(problem, str(error.detail), request.scope)
    response.headers.update(error.headers or {})
    return response


async def _on_bug(request: Request, error: Exception) -> Response:
    return problem_response(problem_of(error), "the service failed; its log says more", request.scope)
