"""Content codings of HTTP, undone piece by piece, so that a bomb is cut where it passes the limit."""

import zlib
from collections.abc import AsyncIterator
from typing import Protocol

from serve.errors import SourceError, SourceTooLarge, UnsupportedFormat

_PIECE = 64 * 1024


class ContentDecoder(Protocol):
    """Undoes a content coding piece by piece."""

    def decode(self, data: bytes, room: int) -> bytes:
        """At most about `room` bytes more than were asked for before."""
        ...

    def end(self) -> None:
        """Raise `UnsupportedFormat` if more should have come."""
        ...


class _Identity:
    def decode(self, data: bytes, room: int) -> bytes:  # noqa: ARG002 - the protocol's signature
        return data

    def end(self) -> None:
        pass


class _Inflate:
    def __init__(self, window: int) -> None:
        self._inflater = zlib.decompressobj(window)

    def decode(self, data: bytes, room: int) -> bytes:
        try:
            return self._inflater.decompress(data, room + 1)
        except zlib.error as error:
            raise UnsupportedFormat("the content coding is damaged") from error

    def end(self) -> None:
        if not self._inflater.eof:
            raise UnsupportedFormat("the content coding is cut short")


def content_decoder(coding: str) -> ContentDecoder:
    """The decoder of a `Content-Encoding`; servers may use gzip or deflate though identity was asked for.

    Codings one inside another are refused, and so are those that nobody uses without being asked.
    """
    match coding.strip().lower():
        case "" | "identity":
            return _Identity()
        case "gzip" | "x-gzip":
            return _Inflate(16 + zlib.MAX_WBITS)
        case "deflate":
            return _Inflate(zlib.MAX_WBITS)
        case other:
            raise UnsupportedFormat(f"unknown content coding {other[:20]!r}")


async def decoded(pieces: AsyncIterator[bytes], coding: str, limit: int) -> bytes:
    """The whole body; raise `SourceTooLarge` if it has more than `limit` bytes before or after decoding."""
    decoder = content_decoder(coding)
    body = bytearray()
    raw = 0
    async for piece in pieces:
        raw += len(piece)
        for start in range(0, len(piece), _PIECE):
            body += decoder.decode(piece[start : start + _PIECE], limit - len(body))
            if len(body) > limit or raw > limit:
                raise SourceTooLarge
    if not raw:
        raise SourceError("the photo is empty")
    decoder.end()
    if not body:
        raise SourceError("the photo is empty")
    return bytes(body)
