"""The process: a socket, uvicorn on it, and a clean end on SIGTERM."""

import gc
import logging
import signal
import socket
import sys
from contextlib import closing

import uvicorn

from service import logs
from service.action_stream import MOST_FRAME_BYTES
from service.app import served
from service.core import Core
from service.protocol import BoundedProtocol
from service.settings import Settings, is_loopback

_LOG = logging.getLogger("service")
_DRAIN_S = 20
_SWITCH_S = 0.0002


def run(settings: Settings, fd: int | None = None) -> None:
    """Serve, on the socket `fd` where one is given, until SIGTERM or SIGINT; then finish what was begun and return.

    Raises OSError if the port is taken or `fd` is no socket, and what :meth:`Core.open` raises.
    """
    logs.configure()
    # uvicorn raises the signal again once it is done: end cleanly then, and also before it has begun.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    taken = listen(settings.host, settings.port) if fd is None else handed_over(fd)
    with taken as listening, closing(Core.open(settings)) as core:
        _LOG.info("serving on http://%s:%d, described at /docs", *listening.getsockname()[:2])
        # A thread that waits for the interpreter's lock gets it after this long. The model's thread does so a hundred
        # times a batch: with Python's 5 ms, a busy event loop would make a batch take seconds.
        sys.setswitchinterval(_SWITCH_S)
        server = Server(core)
        # What lives until the end need not be looked through for garbage again and again: with all of torch's objects
        # that took 0.2 to 0.3 s, in which nobody was answered.
        gc.collect()
        gc.freeze()
        server.run(sockets=[listening])


class Server(uvicorn.Server):
    """uvicorn, which on its way down waits for requests: those that listen for events would keep it waiting."""

    def __init__(self, core: Core) -> None:
        config = uvicorn.Config(
            served(core),
            http=BoundedProtocol,
            ws="websockets-sansio",
            ws_max_size=MOST_FRAME_BYTES,
            ws_per_message_deflate=False,  # frames are compressed already, and a bomb would not be
            loop="uvloop",
            lifespan="off",
            log_config=None,
            access_log=False,  # it would log paths; ours logs templates
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_S,
        )
        super().__init__(config)
        self._core = core

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams first."""
        self._core.feed.end()
        await super().shutdown(sockets)


def handed_over(fd: int) -> socket.socket:
    """The listening socket that a parent process took for us: on loopback alone, as REID_AUTH=off relies on.

    Raises OSError for anything else.
    """
    try:
        listening = socket.socket(fileno=fd)
    except OSError as error:
        raise OSError(f"expected a listening socket as --fd {fd}, got: {error.strerror}") from error
    address = listening.getsockname()
    if not listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) or not is_loopback(address[0]):
        listening.close()
        raise OSError(f"expected a socket that listens on loopback as --fd {fd}, got one of {address}")
    return listening


def listen(host: str, port: int) -> socket.socket:
    """Take the port (0: any) before anything is loaded. Connections are refused until the service is ready.

    Raises OSError if it is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, proto=socket.IPPROTO_TCP)[0]
        # With the protocol named: asyncio turns Nagle's algorithm off only then, else answers wait 40 ms.
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(address)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise OSError(f"expected a free address to listen on, got {host}:{port}: {error.strerror}") from error
    return listening
