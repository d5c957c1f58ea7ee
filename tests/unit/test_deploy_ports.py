"""Ports: free ones are free, taken ones are named."""

import socket
from contextlib import closing

import pytest

from deploy.errors import ServiceFailed
from deploy.services.ports import accepts, free_ports, is_free, require_free


def test_free_ports_differ_and_lie_below_those_of_outgoing_connections() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    assert all(20_000 <= port < 32_000 for port in ports)


def test_a_taken_port_is_named() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        assert accepts(port)
        assert not is_free(port)
        with pytest.raises(ServiceFailed, match=rf"Ray Serve cannot listen on 127\.0\.0\.1:{port}"):
            require_free(port, "Ray Serve")
    assert is_free(port)
    assert not accepts(port)
