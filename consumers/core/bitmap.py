"""Offsets done beyond the committed one, as text for Kafka's commit metadata.

Layout before base64: one version byte, two bytes of length in bits, the bitmap (bit i of byte i // 8, lowest first).
The version byte also says whether the bitmap is deflated; the shorter form is taken. A window of 4,096 offsets
takes at most 688 characters, far below Kafka's limit of 4,096 (`offset.metadata.max.bytes`).
"""

import base64
import binascii
import zlib
from collections.abc import Iterable

#: Offsets that a bitmap can cover, and so what may be in work per partition.
MAX_WINDOW = 4096
#: What the broker accepts by default.
MAX_METADATA_CHARS = 4096

_PLAIN = 1
_DEFLATED = 2
_HEADER_BYTES = 3


def encode(base: int, done: Iterable[int]) -> str:
    """The offsets of `done` within `[base, base + MAX_WINDOW)` as text; the others are left out; "" for none."""
    places = [place for offset in done if 0 <= (place := offset - base) < MAX_WINDOW]
    if not places:
        return ""
    length = max(places) + 1
    bits = bytearray((length + 7) // 8)
    for place in places:
        bits[place >> 3] |= 1 << (place & 7)
    deflated = zlib.compress(bits, 6)
    version, body = (_DEFLATED, deflated) if len(deflated) < len(bits) else (_PLAIN, bytes(bits))
    return base64.b64encode(bytes([version]) + length.to_bytes(2, "big") + body).decode("ascii")


def decode(base: int, metadata: str) -> frozenset[int]:
    """The offsets that `metadata` marks as done; empty for text that this module did not write or that is damaged.

    Empty is always safe: what is not marked is worked on again.
    """
    bits, length = _bits(metadata)
    return frozenset(base + place for place in range(length) if bits[place >> 3] >> (place & 7) & 1)


def _bits(metadata: str) -> tuple[bytes, int]:
    nothing = (b"", 0)
    if not metadata or len(metadata) > MAX_METADATA_CHARS:
        return nothing
    try:
        raw = base64.b64decode(metadata, validate=True)
        version, length = raw[0], int.from_bytes(raw[1:_HEADER_BYTES], "big")
        body = raw[_HEADER_BYTES:]
        if version == _DEFLATED:
            inflater = zlib.decompressobj()
            body = inflater.decompress(body, MAX_WINDOW // 8 + 1)
            if not inflater.eof:
                return nothing
    except (binascii.Error, zlib.error, ValueError, IndexError):
        return nothing
    if version not in (_PLAIN, _DEFLATED) or length > MAX_WINDOW or len(body) != (length + 7) // 8:
        return nothing
    return body, length
