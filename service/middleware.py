"""Around every request: its id, its line in the log, where it may come from, how large it may be."""

import asyncio
import logging
import re
import time
from typing import ClassVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reid.errors import ReidError
from service.gallery.records import new_id
from service.metrics import Metrics
from service.origins import check_origin
from service.problems import (
    BodyTimeoutError,
    BodyTooLargeError,
    UntrustedOriginError,
    problem_of,
    problem_response,
)

_LOG = logging.getLogger("service.access")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
BODY_S = 30.0
ARCHIVES = "/v1/import"  # where bodies are files, and go to the disk as they come


class RequestId:
    """Give each request an id (the caller's own, if it is a plain one), echo it, and log the request under it.

    The log names routes by their template: a path can hold a person's name. So do the `metrics`.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = scope.setdefault("state", {})["request_id"] = request_id_of(scope)
        started, status = time.perf_counter(), 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            taken_s, route = time.perf_counter() - started, _template(scope)
            self.metrics.count_request(scope["method"], route, status, taken_s)
            fields = {"request_id": request_id, "method": scope["method"], "route": route, "status": status}
            fields["taken_ms"] = round(1000 * taken_s, 1)
            _LOG.info("%s %s %d", scope["method"], route, status, extra=fields)


class SafeAnswers:
    """Tell browsers to keep every answer to itself: no frames, no guessing of types, nothing loaded, nothing passed on.

    A route that says otherwise of itself (a page's Content-Security-Policy) is left alone. Other origins are given
    leave by no header at all: CORS is off.
    """

    HEADERS: ClassVar = {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    RAW: ClassVar = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_safely)


class LoopbackOnly:
    """With REID_AUTH=off: refuse what a browser on another page, or a proxy, could have sent."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] in ("http", "websocket"):
            try:
                check_origin(Headers(scope=scope))
            except UntrustedOriginError as error:
                await problem_response(problem_of(error), str(error), scope)(scope, receive, send)
                return
        await self.app(scope, receive, send)


class BodyLimit:
    """Refuse a body of more than `max_bytes`: by its Content-Length before it is read, else as soon as it is.

    One that does not come to its end in time is refused too: within BODY_S, or the time that a model's request has. An
    archive may have `max_archive_bytes`, and as long as it likes while it keeps coming.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, max_archive_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.max_archive_bytes = max_archive_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        is_archive = scope["path"] == ARCHIVES
        max_bytes = self.max_archive_bytes if is_archive else self.max_bytes
        if not announced.isascii() or not announced.isdigit() or int(announced[:20]) > max_bytes:
            refusal = _too_large(max_bytes, f"a Content-Length of {announced[:20]}")
            await problem_response(problem_of(refusal), str(refusal), scope)(scope, receive, send)
            return
        received, more = 0, True
        ticket = scope.get("state", {}).get("ticket")
        until_s = time.monotonic() + (BODY_S if ticket is None else min(BODY_S, ticket.left_s))

        async def counted() -> Message:
            nonlocal received, more, until_s
            try:
                async with asyncio.timeout(until_s - time.monotonic() if more else None):
                    message = await receive()
            except TimeoutError as error:
                raise BodyTimeoutError("expected the body to come to its end in time, got only a part") from error
            more = message.get("more_body", False)
            received += len(message.get("body", b""))
            if received > max_bytes:
                raise _too_large(max_bytes, "more")
            if is_archive:
                until_s = time.monotonic() + BODY_S
            return message

        await self.app(scope, counted, send)


def _too_large(max_bytes: int, got: str) -> ReidError:
    return BodyTooLargeError(f"expected at most {max_bytes} bytes, got {got}")


def request_id_of(scope: Scope) -> str:
    """The caller's own id for the request, if it is a plain one, or a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else new_id()


def _template(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "(no route)")
