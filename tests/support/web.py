"""A web server that says exactly what a test tells it to, byte for byte, over TCP or TLS."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

#: Gets the writer of a connection whose request has been read.
Handler = Callable[[asyncio.StreamWriter], Awaitable[None]]


def reply(body: bytes = b"", status: int = 200, **headers: str) -> Handler:
    """A whole answer; header names take `_` for `-`."""
    fields = {"content_length": str(len(body)), **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())

    async def handler(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body)
        await writer.drain()

    return handler


def redirect(location: str, status: int = 302) -> Handler:
    return reply(b"", status, location=location)


def endless(head: bytes, piece: bytes, sent: list[int], pause_s: float = 0) -> Handler:
    """The head once, the piece again and again until nobody listens; `sent[0]` counts its bytes."""

    async def handler(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        many = piece if pause_s else piece * max(1, 20_000 // len(piece))
        while True:
            writer.write(many)
            await writer.drain()
            sent[0] += len(many)
            await asyncio.sleep(pause_s)

    return handler


def counting(at_once: list[int], body: bytes) -> Handler:
    """Answers after a moment; notes how many requests it has at once."""
    running = 0

    async def handler(writer: asyncio.StreamWriter) -> None:
        nonlocal running
        running += 1
        at_once.append(running)
        await asyncio.sleep(0.05)
        running -= 1
        await reply(body)(writer)

    return handler


@dataclass
class Web:
    """A running server: what it serves and what it was asked."""

    port: int = 0
    paths: dict[str, Handler] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        return f"http://{self.origin}{path}"


@asynccontextmanager
async def serving(paths: dict[str, Handler], tls: ssl.SSLContext | None = None) -> AsyncIterator[Web]:
    web = Web(paths=paths)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            web.requests.append(request)
            await web.paths[request.split()[1]](writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    web.port = server.sockets[0].getsockname()[1]
    try:
        yield web
    finally:
        server.close()


def self_signed(name: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts for a server of this name and for a client that trusts it alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem")
    return server, ssl.create_default_context(cadata=pem.decode())
