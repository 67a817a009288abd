"""HTTP on a connection: uvicorn's, with bounds on the time and size of a head, and on the number of connections."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S = 10.0  # from the first byte, or from the connection's begin, to the end of the head
MOST_HEAD_BYTES = 64 * 1024
MOST_CONNECTIONS = 2000
_REFUSAL = b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n%s\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """Lets nobody hold a connection by saying nothing, or little, or too much (slow loris).

    The time of a body is bounded by the middleware, which knows what it is for.
    """

    _timer: asyncio.TimerHandle | None = None
    _outside_bytes = 0  # received and not of a body, since the request before
    _body_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn's own narrows it
        """Refuse one too many; give the others some time."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self._refuse(b"503 Service Unavailable", b"Retry-After: 1\r\n")
        else:
            self._limit_time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._unlimit_time()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count, and see to it that what is not yet a request becomes one in time."""
        self._outside_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:  # a stream from here on
            return
        if self._outside_bytes > MOST_HEAD_BYTES + self._body_bytes:
            self._refuse(b"431 Request Header Fields Too Large")
        elif self.cycle is None or self.cycle.response_complete:
            self._limit_time()

    def on_headers_complete(self) -> None:
        """The head is whole: its time is over, and the next one is counted anew."""
        self._unlimit_time()
        self._body_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """What is of the body is not of the head."""
        self._outside_bytes -= len(body)
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """What follows is another request's."""
        self._outside_bytes = 0
        super().on_message_complete()

    def _limit_time(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_S, self.transport.close)

    def _unlimit_time(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: bytes, header: bytes = b"") -> None:
        self.transport.write(_REFUSAL % (status, header))
        self.transport.close()
