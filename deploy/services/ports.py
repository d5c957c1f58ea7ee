"""Loopback ports for local services."""

import secrets
import socket
from contextlib import closing

from deploy.errors import ServiceFailed

#: Below the range that Linux hands to outgoing connections, so that a port stays free while its server restarts.
_LOWEST, _HIGHEST = 20_000, 32_000
_ATTEMPTS = 200


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on the port now."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def accepts(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server listens on the port."""
    with closing(socket.socket()) as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on."""
    found: list[int] = []
    for _ in range(_ATTEMPTS):
        port = _LOWEST + secrets.randbelow(_HIGHEST - _LOWEST)
        if port not in found and is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise ServiceFailed(f"no {count} free ports between {_LOWEST} and {_HIGHEST} on 127.0.0.1")


def require_free(port: int, service: str) -> None:
    """`ServiceFailed` where somebody listens on the port."""
    if not is_free(port):
        raise ServiceFailed(f"{service} cannot listen on 127.0.0.1:{port}: the port is taken. Choose another one.")
