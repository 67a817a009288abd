"""A client of the action stream, blocking or async: frames in, the scores of the last frames out.

The fields of a stream are bundle, camera_id, labels and min_score, as `WS /v1/actions/stream` takes them. To open one
raises ServiceError for a refusal, and OSError or TimeoutError without an answer. A stream that broke is opened anew:
its window of frames begins again.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import Any

import httpx
from pydantic import TypeAdapter
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection as BlockingConnection
from websockets.sync.client import connect

from service.client import DEFAULT_URL, ServiceError, refusal, said, with_key
from service.schemas.actions import StreamErrorOut, StreamFrameOut

Answer = StreamFrameOut | StreamErrorOut
_ANSWER: TypeAdapter[Answer] = TypeAdapter(Answer)
_SCHEMES = {"http": "ws", "https": "wss"}


class StreamEndedError(Exception):
    """The service ended the stream: the code and reason of its closing."""


class ActionStream:
    """An open stream; :func:`action_stream` opens one."""

    def __init__(self, socket: BlockingConnection, timeout_s: float) -> None:
        self._socket, self._timeout_s = socket, timeout_s

    def send(self, jpeg: bytes) -> Answer:
        """The scores with this frame, or what was wrong with it, which leaves the window as it was.

        Raises StreamEndedError when the stream is over, which an answer that `ends` says before; TimeoutError.
        """
        try:
            self._socket.send(jpeg)
            return _ANSWER.validate_json(self._socket.recv(timeout=self._timeout_s))
        except ConnectionClosed as error:
            raise StreamEndedError(str(error)) from error


class AsyncActionStream:
    """An open stream; :func:`async_action_stream` opens one."""

    def __init__(self, socket: ClientConnection, timeout_s: float) -> None:
        self._socket, self._timeout_s = socket, timeout_s

    async def send(self, jpeg: bytes) -> Answer:
        """As :meth:`ActionStream.send`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._socket.send(jpeg)
                return _ANSWER.validate_json(await self._socket.recv())
        except ConnectionClosed as error:
            raise StreamEndedError(str(error)) from error


@contextmanager
def action_stream(
    url: str = DEFAULT_URL, key: str | None = None, *, timeout_s: float = 60.0, **fields: Any
) -> Iterator[ActionStream]:
    """A stream of one camera's frames, for as long as the block runs."""
    with ExitStack() as stack:
        try:
            opened = connect(_address(url, fields), additional_headers=with_key(key), open_timeout=timeout_s)
            socket = stack.enter_context(opened)
        except InvalidStatus as error:
            raise _refusal(error) from error
        yield ActionStream(socket, timeout_s)


@asynccontextmanager
async def async_action_stream(
    url: str = DEFAULT_URL, key: str | None = None, *, timeout_s: float = 60.0, **fields: Any
) -> AsyncIterator[AsyncActionStream]:
    """As :func:`action_stream`."""
    async with AsyncExitStack() as stack:
        try:
            opened = connect_async(_address(url, fields), additional_headers=with_key(key), open_timeout=timeout_s)
            socket = await stack.enter_async_context(opened)
        except InvalidStatus as error:
            raise _refusal(error) from error
        yield AsyncActionStream(socket, timeout_s)


def _address(url: str, fields: dict[str, Any]) -> str:
    asked = {name: ",".join(value) if name == "labels" else value for name, value in said(fields).items()}
    base = httpx.URL(url)
    path = base.path.rstrip("/") + "/v1/actions/stream"
    return str(base.copy_with(scheme=_SCHEMES.get(base.scheme, base.scheme), path=path, params=asked))


def _refusal(error: InvalidStatus) -> ServiceError:
    response = error.response
    return refusal(response.status_code, bytes(response.body or b""), response.headers.get("X-Request-Id", "unknown"))
