"""The socket that the service listens on."""

import socket

import pytest

from service.server import listen


def test_the_socket_names_its_protocol_so_that_answers_are_sent_at_once():
    with listen("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP


def test_an_address_that_cannot_be_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"free address to listen on, got 127.0.0.1:{port}: Address already in use"):
            listen("127.0.0.1", port)
    with pytest.raises(OSError, match=r"got host\.invalid:80: "):
        listen("host.invalid", 80)
