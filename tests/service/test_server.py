"""The socket that the service listens on."""

import socket
from pathlib import Path

import pytest

from service.server import handed_over, listen


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


def test_only_a_socket_that_listens_on_loopback_can_be_handed_over():
    with socket.create_server(("127.0.0.1", 0)) as ours, handed_over(ours.detach()) as listening:
        assert listening.proto == socket.IPPROTO_TCP
    with (
        socket.create_server(("0.0.0.0", 0)) as open_to_all,
        pytest.raises(OSError, match="expected a socket that listens on loopback"),
    ):
        handed_over(open_to_all.detach())
    with socket.socket() as idle, pytest.raises(OSError, match="expected a socket that listens on loopback"):
        handed_over(idle.detach())
    with Path("/dev/null").open() as file, pytest.raises(OSError, match="expected a listening socket as --fd"):
        handed_over(file.fileno())
