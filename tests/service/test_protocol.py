"""Connections that say nothing, or too little, or too much: each is ended, and the others are served."""

import socket
from contextlib import suppress

import pytest

from service import protocol
from tests.service.conftest import DEADLINE_S

HEAD = b"GET /livez HTTP/1.1\r\nHost: x\r\n"


def connect(service) -> socket.socket:
    url = service.client.base_url
    return socket.create_connection((url.host, url.port), timeout=DEADLINE_S)


def to_the_end(connection: socket.socket) -> bytes:
    """All that comes until the service closes the connection."""
    parts = []
    try:
        while part := connection.recv(65_536):
            parts.append(part)
    except ConnectionResetError:  # closed while it was still being sent to
        pass
    return b"".join(parts)


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"\r\n",
        b"G",
        HEAD + b"X-Slow: ",
        HEAD + b"\r\nGET /li",
    ],
    ids=["nothing", "an empty line", "a letter", "half a head", "half of the next head"],
)
def test_a_head_that_does_not_come_to_its_end_ends_the_connection(service, monkeypatch, begin):
    monkeypatch.setattr(protocol, "HEAD_S", 0.2)
    with connect(service) as connection:
        connection.sendall(begin)
        answer = to_the_end(connection)
    assert answer.startswith(b"HTTP/1.1 200 " if b"\r\n\r\n" in begin else b"")
    assert service.client.get("/livez").status_code == 200


def test_a_head_sent_drop_by_drop_is_not_given_more_time(service, monkeypatch):
    """Each drop comes long before the time is over, and the end comes all the same."""
    monkeypatch.setattr(protocol, "HEAD_S", 0.3)
    with connect(service) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nX-Slow: ")
        connection.settimeout(0.02)
        sent = 0
        while True:
            try:
                if not connection.recv(1):
                    break
            except TimeoutError:
                connection.sendall(b"x")
                sent += 1
            except ConnectionResetError:
                break
            assert sent < 50 * DEADLINE_S
    assert service.client.get("/livez").status_code == 200


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"".join(b"X-%d: %s\r\n" % (number, b"x" * 1000) for number in range(200)),
        b"GET /" + b"x" * 200_000,
        b"POST /v1/search HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X-T: x\r\n" * 20_000,
    ],
    ids=["many headers", "a long path", "many trailers"],
)
def test_a_head_that_is_too_large_is_refused(service, head):
    with connect(service) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(head)
        to_the_end(connection)
    assert service.client.get("/livez").status_code == 200


def test_a_body_in_chunks_is_none_of_the_head(service):
    def chunks():
        for _ in range(2000):
            yield b" " * 1000

    key = service.client.headers["X-API-Key"]
    answer = service.client.post(
        "/v1/search", content=chunks(), headers={"Content-Type": "application/json", "X-API-Key": key}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "unreadable_body")


def test_one_connection_too_many_is_turned_away_and_the_next_after_it_served(service, monkeypatch):
    service.client.get("/livez")
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 1)
    with connect(service) as connection:
        assert to_the_end(connection).startswith(b"HTTP/1.1 503 ")
    assert service.client.get("/livez").status_code == 200


def test_a_body_that_does_not_come_is_given_up(service, monkeypatch):
    monkeypatch.setattr("service.middleware.BODY_S", 0.2)
    key = service.client.headers["X-API-Key"]
    head = f"POST /v1/persons HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nContent-Type: application/json\r\n"
    with connect(service) as connection:
        connection.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        answer = to_the_end(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code": "body_timeout"' in answer
