"""The door: who comes for a model is let in, or sent away at the price of reading the head of the request."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from service.admission import Admission
from service.auth import embedding_route
from service.metrics import Metrics
from service.middleware import SafeAnswers, request_id_of
from service.problems import BundleMissingError, QueueFullError, problem_of, problem_response

_LOG = logging.getLogger(__name__)
_SMALL_BODY_BYTES = 16 * 1024
TOLD_AFTER_S = 1.0
_MISSING_RETRY_S = 60  # somebody must bring it


class Door:
    """Stands before everything else, so that sending away costs next to nothing: a full house must not be slowed down.

    Nothing but the head is looked at, not even the key: that the house is full is no secret. `admission_of` says which
    model's house a route (its template) and path lead to; None: a model that is not loaded yet. Who is sent away is
    counted, and not logged one by one.
    """

    def __init__(
        self, app: ASGIApp, admission_of: Callable[[str, str], Awaitable[Admission | None]], metrics: Metrics
    ) -> None:
        self.app = app
        self._admission_of = admission_of
        self._metrics = metrics
        self._sent_away = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        template = embedding_route(scope["method"], scope["path"]) if scope["type"] == "http" else None
        try:
            admission = None if template is None else await self._admission_of(template, scope["path"])
        except BundleMissingError as error:
            await _refuse(error, scope, receive, send)
            return
        if template is None or admission is None:
            await self.app(scope, receive, send)
            return
        ticket = admission.arrive()
        scope.setdefault("state", {})["ticket"] = ticket
        try:
            if _holds_images(scope):
                ticket.hold(1)
        except QueueFullError as error:
            self._count(scope["method"], template)
            await _refuse(error, scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        finally:
            ticket.leave()

    def _count(self, method: str, template: str) -> None:
        """Count one, and see to it that the log says how many there were: soon, so that the last ones are in it too."""
        self._metrics.count_request(method, template, 503, 0.0)
        if not self._sent_away:
            asyncio.get_running_loop().call_later(TOLD_AFTER_S, self._tell)
        self._sent_away += 1

    def _tell(self) -> None:
        _LOG.warning("%d requests were sent away: more than can be done in time", self._sent_away)
        self._sent_away = 0


def _holds_images(scope: Scope) -> bool:
    """Whether the body must hold images: a small one of JSON can as well ask by id."""
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"")
    small = re.fullmatch(rb"\d{1,9}", length) is not None and int(length) < _SMALL_BODY_BYTES
    return not (small and headers.get(b"content-type", b"").startswith(b"application/json"))


async def _refuse(error: QueueFullError | BundleMissingError, scope: Scope, receive: Receive, send: Send) -> None:
    scope.setdefault("state", {})["request_id"] = request_id_of(scope)
    retry_after_s = error.retry_after_s if isinstance(error, QueueFullError) else _MISSING_RETRY_S
    answer = problem_response(problem_of(error), str(error), scope, retry_after_s=retry_after_s)
    answer.raw_headers += SafeAnswers.RAW
    await answer(scope, receive, send)
