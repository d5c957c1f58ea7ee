"""Photos for tests, good and hostile, and a loopback server that gives them."""

import io
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


def garment(colour: tuple[int, int, int] = (40, 70, 150), seed: int = 1, size: tuple[int, int] = (300, 400)) -> bytes:
    """A JPEG of a shirt of ribbed cloth on a warm, slightly noisy floor."""
    width, height = size
    random = np.random.default_rng(seed)
    floor = np.array([196, 178, 150]) + random.normal(0, 4, (height, width, 3))
    picture = Image.fromarray(floor.clip(0, 255).astype(np.uint8))
    outline = [(0.3, 0.2), (0.42, 0.17), (0.58, 0.17), (0.7, 0.2), (0.9, 0.42), (0.78, 0.5), (0.72, 0.42)]
    outline += [(0.73, 0.85), (0.27, 0.85), (0.28, 0.42), (0.22, 0.5), (0.1, 0.42)]
    points = [(x * width, y * height) for x, y in outline]
    # Cloth without any structure would look like a blurred photo to the quality filter.
    ribs = 1 + 0.22 * np.sin(np.arange(width) * 2 * np.pi / 9)[None, :, None] * np.ones((height, 1, 1))
    cloth = (np.array(colour) * ribs + random.normal(0, 3, (height, width, 3))).clip(0, 255).astype(np.uint8)
    shape = Image.new("L", size)
    ImageDraw.Draw(shape).polygon(points, fill=255)
    picture.paste(Image.fromarray(cloth), mask=shape)
    file = io.BytesIO()
    picture.filter(ImageFilter.GaussianBlur(0.7)).save(file, "JPEG", quality=92)
    return file.getvalue()


def huge_header(width: int = 20_000, height: int = 15_000) -> bytes:
    """A PNG of a few bytes whose header claims 300 megapixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


def as_png(jpeg: bytes) -> bytes:
    """The same photo as a PNG file."""
    file = io.BytesIO()
    Image.open(io.BytesIO(jpeg)).save(file, "PNG")
    return file.getvalue()


@dataclass
class PhotoServer:
    """Answers GET with the bytes under a path, 404 for others."""

    origin: str
    files: dict[str, bytes] = field(default_factory=dict)

    def add(self, name: str, body: bytes) -> str:
        """Serve `body` under `/name`; give its URL."""
        self.files[f"/{name}"] = body
        return self.url(name)

    def url(self, name: str) -> str:
        """The URL of a name, served or not."""
        return f"http://{self.origin}/{name}"


@contextmanager
def photo_server() -> Iterator[PhotoServer]:
    """A server on a free loopback port for the length of the block."""
    files: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = files.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args: object) -> None:
            """Keep the test output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield PhotoServer(f"127.0.0.1:{server.server_address[1]}", files)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
