"""Walks over the blocks of image files: sizes, frames, and lengths that no honest file has. Pure and bounded.

Formats: PNG (ISO/IEC 15948, with APNG), GIF89a, WebP (RIFF), JPEG (ITU-T T.81), TIFF 6.0 and BigTIFF.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from serve.images.limits import MIB, Refusal

#: Blocks of a file that are looked at; a file of more is refused.
MOST_BLOCKS = 65_536
#: Text of a PNG in all, and its colour profile, unpacked.
MOST_TEXT = MIB
#: Scans of a progressive JPEG. Encoders write about ten; each one makes a decoder go over the whole picture.
MOST_SCANS = 100
#: Pages of a TIFF.
MOST_PAGES = 1_000
_GIF_MOST_STEPS = 500_000
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


@dataclass(frozen=True, slots=True)
class Claim:
    """What a header says; 0 where the walk does not tell."""

    width: int = 0
    height: int = 0
    frames: int = 1
    bytes_per_pixel: int = 1
    #: Bytes for each pixel that the decoder takes, its picture included, where that is known to be much.
    working_bytes: float = 0.0
    #: Bits that the packed pixels have at least, and those that there are.
    fewest_bits: int = 0
    bits: int = 0
    #: Bits of a sample, where they matter to whoever decodes.
    depth: int = 8


def _corrupt(message: str) -> Refusal:
    return Refusal("corrupt_image", message)


def walk_png(body: bytes) -> Claim:
    """Header, chunk lengths, text and profile bombs, frames of an animation."""
    if len(body) < 33 or body[12:16] != b"IHDR" or body[8:12] != b"\0\0\0\r":
        raise _corrupt("a PNG must begin with its header")
    width, height, depth = struct.unpack_from(">IIB", body, 16)
    if not width or not height:
        raise _corrupt("a picture without pixels")
    text, frames = 0, 1
    for name, start, length in _png_chunks(body):
        if name in {b"tEXt", b"zTXt", b"iTXt", b"iCCP"}:
            text += length + _unpacked(body[start : start + length], name)
            if text > MOST_TEXT:
                raise _corrupt(f"text and profile of more than {MOST_TEXT:,} bytes")
        elif name == b"acTL" and length >= 4:
            frames = max(1, int.from_bytes(body[start : start + 4]))
    return Claim(width, height, frames, depth=depth)


def _png_chunks(body: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and length of each chunk up to IEND."""
    place = 8
    for _ in range(MOST_BLOCKS):
        if place + 12 > len(body):
            raise _corrupt("cut short")
        length, name = int.from_bytes(body[place : place + 4]), body[place + 4 : place + 8]
        if name == b"IEND":
            return
        if place + 12 + length > len(body):
            raise _corrupt("a chunk is longer than its file")
        yield name, place + 8, length
        place += 12 + length
    raise _corrupt(f"more than {MOST_BLOCKS:,} blocks")


def _unpacked(chunk: bytes, name: bytes) -> int:
    """How long the packed part of a text or profile is unpacked, counted no further than one byte over the limit."""
    _, _, rest = chunk.partition(b"\0")
    if name in {b"zTXt", b"iCCP"}:
        packed = rest[1:]
    elif name == b"iTXt" and rest[:1] == b"\1":
        packed = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    else:
        return 0
    try:
        return len(zlib.decompressobj().decompress(packed, MOST_TEXT + 1))
    except zlib.error:
        # What cannot be unpacked is no bomb; whether it matters is the decoder's affair.
        return 0


def walk_gif(body: bytes) -> Claim:
    """Size of the canvas and number of frames; a file that is cut short keeps those that were counted."""
    if len(body) < 13:
        raise _corrupt("cut short")
    width, height, packed = struct.unpack_from("<HHB", body, 6)
    place = 13 + (3 << (packed & 7) + 1 if packed & 0x80 else 0)
    frames = steps = 0
    while place < len(body) and body[place] in b"\x21\x2c":
        if body[place] == 0x2C:
            if place + 10 > len(body):
                break
            frames += 1
            # A frame may be larger than the canvas that was told; decoders make the canvas larger then.
            left, top, wide, high, flags = struct.unpack_from("<HHHHB", body, place + 1)
            width, height = max(width, left + wide), max(height, top + high)
            place += 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        else:
            place += 2
        while place < len(body) and body[place]:
            place += body[place] + 1
            steps += 1
            if steps > _GIF_MOST_STEPS:
                raise _corrupt(f"more than {_GIF_MOST_STEPS:,} blocks")
        place += 1
        steps += 1
    if not width or not height:
        raise _corrupt("a picture without pixels")
    return Claim(width, height, max(frames, 1))


def walk_webp(body: bytes) -> Claim:
    """Size of the canvas, from whichever chunk comes first, and number of frames."""
    size: tuple[int, int] | None = None
    # What hangs behind the container is no affair of the decoder's.
    end = 8 + int.from_bytes(body[4:8], "little")
    if end > len(body):
        raise _corrupt("cut short")
    place, frames = 12, 0
    for _ in range(MOST_BLOCKS):
        if place + 8 > end:
            break
        name, length = body[place : place + 4], int.from_bytes(body[place + 4 : place + 8], "little")
        if place + 8 + length > end:
            raise _corrupt("a chunk is longer than its file")
        size = size or _webp_size(name, body[place + 8 : place + 18])
        frames += name == b"ANMF"
        place += 8 + length + length % 2
    else:
        raise _corrupt(f"more than {MOST_BLOCKS:,} blocks")
    if size is None:
        raise _corrupt("no picture in the file")
    # The picture, two canvases of the decoder, and what passes from these to that.
    return Claim(*size, max(frames, 1), working_bytes=16)


def _webp_size(name: bytes, data: bytes) -> tuple[int, int] | None:
    if len(data) < 5:
        return None
    if name == b"VP8X" and len(data) == 10:
        return int.from_bytes(data[4:7], "little") + 1, int.from_bytes(data[7:10], "little") + 1
    if name == b"VP8L":
        bits = int.from_bytes(data[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if name == b"VP8 " and len(data) == 10:
        return int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF
    return None


def walk_jpeg(body: bytes) -> Claim:
    """Segments up to the pixels: lengths, size, and how often the pixels are gone over."""
    place, claim = 2, Claim()
    for _ in range(MOST_BLOCKS):
        # Any number of fill bytes may stand before a marker; junk between segments is passed over as decoders do.
        place = body.find(b"\xff", place)
        if place < 0 or place + 4 > len(body):
            raise _corrupt("cut short")
        marker = body[place + 1]
        if marker in {0x00, 0x01, 0xFF} or 0xD0 <= marker <= 0xD8:
            place += 1 if marker == 0xFF else 2
            continue
        if marker == 0xD9:
            raise _corrupt("it ends before its pixels")
        length = int.from_bytes(body[place + 2 : place + 4])
        if length < 2 or place + 2 + length > len(body):
            raise _corrupt("a segment is longer than its file")
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC} and length >= 8:
            height, width, components = struct.unpack_from(">HHB", body, place + 5)
            claim = Claim(
                width,
                height,
                bytes_per_pixel=max(1, min(components, 4)),
                working_bytes=_jpeg_working(marker, body[place + 10 : place + 2 + length], components),
                # A decoder paints grey what is not there. Huffman codes have a bit at least: for each block of 64
                # pixels one for its mean and one for its end, which progressive files share among many blocks.
                fewest_bits=width * height // 64 * (2 if marker in {0xC0, 0xC1} else marker == 0xC2),
            )
        place += 2 + length
        if marker == 0xDA:
            if body.count(b"\xff\xda", place) >= MOST_SCANS:
                raise _corrupt(f"more than {MOST_SCANS} scans")
            return replace(claim, bits=8 * (len(body) - place))
    raise _corrupt(f"more than {MOST_BLOCKS:,} blocks")


def _jpeg_working(marker: int, components: bytes, count: int) -> float:
    """The picture, and for a progressive file all coefficients, of two bytes each."""
    picture = 1.0 if count == 1 else 4.0
    factors = [(spot >> 4) * (spot & 15) for spot in components[1 : 3 * count : 3]]
    if marker not in {0xC2, 0xC6, 0xCA, 0xCE} or not factors:
        return picture
    widest = max(spot >> 4 for spot in components[1 : 3 * count : 3])
    highest = max(spot & 15 for spot in components[1 : 3 * count : 3])
    return picture + 2.0 * sum(factors) / max(widest * highest, 1)


def walk_tiff(body: bytes) -> Claim:
    """The chain of pages: loops, values longer than the file, size of the first page and number of pages."""
    order, big = "<" if body[:2] == b"II" else ">", body[2:4] in {b"+\0", b"\0+"}
    first = Claim()
    seen: set[int] = set()
    place = _unpack(order + ("Q" if big else "I"), body, 8 if big else 4)
    while place:
        if place in seen or len(seen) >= MOST_PAGES:
            raise _corrupt("its pages form a loop, or are too many")
        seen.add(place)
        claim, place = _tiff_page(body, place, order, big=big)
        first = first if first.width else claim
    return Claim(first.width, first.height, max(len(seen), 1), first.bytes_per_pixel)


def _tiff_page(body: bytes, place: int, order: str, *, big: bool) -> tuple[Claim, int]:
    """Size of a page, and where the next one stands."""
    count = _unpack(order + ("Q" if big else "H"), body, place)
    entry, start = (20, place + 8) if big else (12, place + 2)
    if count > MOST_BLOCKS or start + count * entry > len(body):
        raise _corrupt("a directory is longer than its file")
    values: dict[int, int] = {}
    total = 0
    for at in range(start, start + count * entry, entry):
        tag, kind, number = struct.unpack_from(order + ("HHQ" if big else "HHI"), body, at)
        total += number * _TYPE_BYTES.get(kind, 1)
        if tag in {256, 257}:
            values[tag] = _unpack(order + ("H" if kind == 3 else "I"), body, at + (12 if big else 8))
    # Values may share bytes, but hardly all of them.
    if total > 2 * len(body) + MOST_BLOCKS:
        raise _corrupt("its values are longer than the file")
    end = start + count * entry
    # Some writers leave out the last pointer.
    following = _unpack(order + ("Q" if big else "I"), body, end) if end + (8 if big else 4) <= len(body) else 0
    return Claim(values.get(256, 0), values.get(257, 0)), following


def _unpack(layout: str, body: bytes, place: int) -> int:
    try:
        return int(struct.unpack_from(layout, body, place)[0])
    except (struct.error, OverflowError):
        raise _corrupt("cut short") from None
