"""A load generator: one request, prepared once, sent over raw connections; run as a process of its own.

    python -m benchmarks.load URL PATH BODY_FILE CONTENT_TYPE --clients 64 --requests 320
    python -m benchmarks.load URL PATH BODY_FILE CONTENT_TYPE --clients 512 --seconds 8 --per-second 500

With `--requests` each client asks again as soon as it is answered, until so many were sent. With `--per-second`
requests begin at a steady pace, whatever comes of those before; one that finds no idle client is counted as `unsent`.
Prints one line of JSON.
"""

import argparse
import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit


@dataclass
class Load:
    """What came of it: how many answers of each status, and how long the good and the other ones took."""

    statuses: Counter[int] = field(default_factory=Counter)
    good_s: list[float] = field(default_factory=list)
    other_s: list[float] = field(default_factory=list)
    unsent: int = 0
    taken_s: float = 0.0

    def note(self, status: int, taken_s: float) -> None:
        """Count one answer."""
        self.statuses[status] += 1
        (self.good_s if status == 200 else self.other_s).append(taken_s)


class Client(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._received = bytearray()
        self._answer: asyncio.Future[int] | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._out = transport

    def data_received(self, data: bytes) -> None:
        """Look whether the answer is whole."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or self._answer is None:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) >= length:
            answer, self._answer, self._received = self._answer, None, bytearray()
            answer.set_result(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits hears of it; an idle connection is closed by the service after some seconds."""
        self.closed = True
        if self._answer is not None:
            self._answer.set_exception(exc or ConnectionError("expected an answer, got the end"))

    async def ask(self) -> int:
        """Send the request; the status of its answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self._out.write(self._request)
        return await self._answer


async def at_once(url: str, request: bytes, clients: int, requests: int) -> Load:
    """Send so many requests, each client its next one as soon as it is answered."""
    done, left = Load(), iter(range(requests))

    async def again_and_again(client: Client) -> None:
        for _ in left:
            await _once(client, time.perf_counter(), done)

    connected = await _connect(url, request, clients)
    begun_s = time.perf_counter()
    await asyncio.gather(*(again_and_again(client) for client in connected))
    done.taken_s = time.perf_counter() - begun_s
    return done


async def steadily(url: str, request: bytes, clients: int, seconds: float, per_second: float) -> Load:
    """Begin requests at a steady pace for so many seconds, and wait for the last answers."""
    done, idle, asked = Load(taken_s=seconds), await _connect(url, request, clients), []

    async def one(client: Client, since_s: float) -> None:
        if client.closed:
            (client,) = await _connect(url, request, 1)
        await _once(client, since_s, done)
        idle.append(client)

    due_s = time.perf_counter()
    end_s = due_s + seconds
    while due_s < end_s:
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        if idle:
            asked.append(asyncio.ensure_future(one(idle.pop(), due_s)))
        else:
            done.unsent += 1
        due_s += 1 / per_second
    await asyncio.gather(*asked)
    return done


async def _connect(url: str, request: bytes, clients: int) -> list[Client]:
    address, loop = urlsplit(url), asyncio.get_running_loop()
    assert address.hostname is not None
    assert address.port is not None
    return [
        (await loop.create_connection(lambda: Client(request), address.hostname, address.port))[1]
        for _ in range(clients)
    ]


async def _once(client: Client, since_s: float, done: Load) -> None:
    status = await client.ask()
    done.note(status, time.perf_counter() - since_s)


def prepared(url: str, path: str, body: bytes, content_type: str) -> bytes:
    """The bytes of one POST."""
    head = f"POST {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nContent-Type: {content_type}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def main() -> None:
    """Read the command line, ask, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("path")
    parser.add_argument("body", type=Path)
    parser.add_argument("content_type")
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--requests", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--per-second", type=float)
    given = parser.parse_args()
    request = prepared(given.url, given.path, given.body.read_bytes(), given.content_type)
    if given.requests is not None:
        done = asyncio.run(at_once(given.url, request, given.clients, given.requests))
    elif given.seconds is not None and given.per_second is not None:
        done = asyncio.run(steadily(given.url, request, given.clients, given.seconds, given.per_second))
    else:
        parser.error("expected --requests, or --seconds and --per-second")
    print(json.dumps(vars(done)))


if __name__ == "__main__":
    main()
