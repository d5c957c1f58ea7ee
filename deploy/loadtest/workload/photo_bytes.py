"""Photos by number: which bytes stand behind a name. Pure.

Any number is there. Photos of one edge share a few dozen pictures, and each number is a file of its own: a comment in
the JPEG names it, so that nothing downstream finds it fetched, decoded or stored already.
"""

import hashlib
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from deploy.errors import DeployError
from deploy.loadtest.workload.planned import PhotoFault

JPEG = "image/jpeg"
_QUALITY = 90
_NAME = re.compile(r"([0-9]{1,18})-([0-9]{1,5})(?:-([a-z]+))?\.jpg")
_GARBAGE_BYTES = 20_000
_PIECE = bytes(64 * 1024)
_START, _APPLICATION, _COMMENT = b"\xff\xd8", b"\xff\xe0", b"\xff\xfe"


class PhotoName(NamedTuple):
    """`NUMBER-EDGE[-FLAW].jpg`; the edge is the longer one, in pixels."""

    number: int
    edge: int
    flaw: PhotoFault | None = None

    def __str__(self) -> str:
        flaw = "" if self.flaw is None else f"-{self.flaw}"
        return f"{self.number}-{self.edge}{flaw}.jpg"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read a name; None where it is none."""
        found = _NAME.fullmatch(text)
        if found is None or (found[3] and found[3] not in set(PhotoFault)):
            return None
        return cls(int(found[1]), int(found[2]), PhotoFault(found[3]) if found[3] else None)


class PhotoFile(NamedTuple):
    """A file to send."""

    length: int
    etag: str
    pieces: Iterator[bytes]


class PhotoFiles:
    """The files of one seed; `bases` are JPEG files by edge, as `base` makes them."""

    def __init__(self, bases: Mapping[int, Sequence[bytes]], *, seed: int, huge_bytes: int) -> None:
        self._bases = {
            edge: [(one, hashlib.sha256(one).hexdigest()[:16]) for one in some] for edge, some in bases.items()
        }
        self._seed = seed
        self._huge_bytes = huge_bytes

    def file(self, name: PhotoName) -> PhotoFile | None:
        """The file of this name; None for edges that nobody drew, and for what is to be missing."""
        bases = self._bases.get(name.edge)
        if not bases or name.flaw is PhotoFault.MISSING:
            return None
        base, digest = bases[name.number % len(bases)]
        pieces = numbered(base, f"photo {name.number} of load test {self._seed}")
        size = sum(map(len, pieces))
        if name.flaw is PhotoFault.TRUNCATED:
            pieces = [b"".join(pieces)[: size // 2]]
        elif name.flaw is PhotoFault.GARBAGE:
            pieces = [random.Random(f"{self._seed}/{name.number}").randbytes(_GARBAGE_BYTES)]  # noqa: S311 - a game of chance
        length = max(size, self._huge_bytes) if name.flaw is PhotoFault.HUGE else sum(map(len, pieces))
        return PhotoFile(length, f'"{digest}-{self._seed}-{str(name)[:-4]}"', _padded(pieces, length))


def numbered(base: bytes, text: str) -> list[bytes]:
    """The JPEG file with a comment of at most 65,533 bytes, in pieces; the picture is the same."""
    # JFIF wants its own segment to be the first.
    at = 4 + int.from_bytes(base[4:6]) if base[2:4] == _APPLICATION else 2
    comment = text.encode()
    return [base[:at], _COMMENT + (len(comment) + 2).to_bytes(2), comment, base[at:]]


def base(pixels: NDArray[np.uint8], edge: int) -> bytes:
    """A picture `uint8 [H, W, 3]` BGR as a JPEG whose longer edge has so many pixels."""
    height, width = pixels.shape[:2]
    scale = edge / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    done, file = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise DeployError(f"OpenCV cannot write a JPEG of {size[0]}x{size[1]} pixels")
    return file.tobytes()


def picture(body: bytes, name: str) -> NDArray[np.uint8]:
    """The pixels of an image file, `uint8 [H, W, 3]` BGR, upright; `DeployError` with the name where it is none."""
    pixels = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR) if body else None
    if pixels is None:
        raise DeployError(f"{name} is no picture that OpenCV can read")
    return np.asarray(pixels, np.uint8)


def _padded(pieces: Sequence[bytes], length: int) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        length -= len(piece)
    while length > 0:
        yield _PIECE[:length]
        length -= len(_PIECE)
