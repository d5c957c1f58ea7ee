"""What a file carries besides its picture: EXIF, places, comments, thumbnails, bytes behind the end.

Reads the structure of the file alone, never a pixel, so nothing in it can cost more than its own length.
"""

import io
import re
import struct
from collections.abc import Iterator

from PIL import ExifTags, Image

from serve.images.decoding import FORMATS

_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
#: PNG chunks that carry words or EXIF of somebody; our XMP stands in `iTXt`, which is looked into.
_PNG_WORDS = {b"tEXt": "text", b"zTXt": "text", b"eXIf": "exif", b"tIME": "time"}
_JPEG_WORDS = {0xFE: "comment", 0xED: "photoshop"}
#: Markers without a length.
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
_JPEG_SCAN, _JPEG_END = 0xDA, 0xD9
#: Within a JPEG's data 0xFF is followed by zero, by itself or by a restart marker; anything else ends the data.
_DATA_ENDS = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)


def leftovers(body: bytes) -> tuple[str, ...]:
    """Names of what is there, such as `exif`, `gps`, `thumbnail`, `comment`, `tail 120 bytes`."""
    found = [*_png_parts(body), *_jpeg_parts(body), *_exif(body)]
    if behind := tail_bytes(body):
        found.append(f"tail {behind:,} bytes")
    return tuple(dict.fromkeys(found))


def tail_bytes(body: bytes) -> int:
    """Bytes behind the end of the picture; 0 for formats whose end is not known."""
    try:
        end = _end(body)
    except (struct.error, IndexError):
        return 0
    return 0 if end is None else max(0, len(body) - end)


def _end(body: bytes) -> int | None:
    if body.startswith(_PNG_HEAD):
        return next((end for name, _, end in _png_chunks(body) if name == b"IEND"), None)
    if body[:4] == b"RIFF":
        size = int(struct.unpack_from("<I", body, 4)[0])
        return 8 + size + size % 2
    if body.startswith(b"\xff\xd8"):
        return _jpeg_end(body)
    return _boxes_end(body) if body[4:8] == b"ftyp" else None


def _png_parts(body: bytes) -> Iterator[str]:
    if not body.startswith(_PNG_HEAD):
        return
    for name, start, end in _png_chunks(body):
        if name in _PNG_WORDS:
            yield _PNG_WORDS[name]
        elif name == b"iTXt" and not body[start:end].startswith(b"XML:com.adobe.xmp\0"):
            yield "text"


def _jpeg_parts(body: bytes) -> Iterator[str]:
    if not body.startswith(b"\xff\xd8"):
        return
    for marker, start, end in _jpeg_segments(body):
        content = body[start:end]
        if marker in _JPEG_WORDS:
            yield _JPEG_WORDS[marker]
        elif marker == 0xE2 and content.startswith(b"MPF\0"):
            yield "further pictures"
        elif marker == 0xE0 and content.startswith(b"JFIF\0") and len(content) >= 14 and content[12] * content[13]:
            yield "thumbnail"


def _exif(body: bytes) -> Iterator[str]:
    try:
        with Image.open(io.BytesIO(body), formats=FORMATS) as image:
            exif = image.getexif()
            if image.format == "TIFF" or not len(exif):
                return
            yield "exif"
            if exif.get_ifd(ExifTags.IFD.GPSInfo):
                yield "gps"
            if exif.get_ifd(ExifTags.IFD.IFD1):
                yield "thumbnail"
    except Exception:  # noqa: BLE001 - readers raise anything on damaged files
        return


def _png_chunks(body: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start of the content and end of each chunk, checksum included."""
    at = len(_PNG_HEAD)
    while at + 12 <= len(body):
        length, name = struct.unpack_from(">I4s", body, at)
        yield name, at + 8, at + 12 + length
        at += 12 + length


def _jpeg_segments(body: bytes, at: int = 2) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of the content of each segment from `at` on, up to the next stretch of picture data."""
    while at + 4 <= len(body) and body[at] == 0xFF:
        marker = body[at + 1]
        if marker in _JPEG_BARE or marker == 0xFF:
            at += 1 if marker == 0xFF else 2
            continue
        length = int(struct.unpack_from(">H", body, at + 2)[0])
        if marker == _JPEG_END or length < 2:
            return
        yield marker, at + 4, min(len(body), at + 2 + length)
        if marker == _JPEG_SCAN:
            return
        at += 2 + length


def _jpeg_end(body: bytes) -> int | None:
    """Behind the end marker; None where there is none. Progressive files have several stretches of data."""
    at = 2
    while True:
        scan = [end for marker, _, end in _jpeg_segments(body, at) if marker == _JPEG_SCAN]
        if not scan:
            return None
        after = _DATA_ENDS.search(body, scan[0])
        if after is None:
            return None
        if body[after.start() + 1] == _JPEG_END:
            return after.start() + 2
        at = after.start()


def _boxes_end(body: bytes) -> int | None:
    """The end of the last whole box of an ISO base media file."""
    at = 0
    while at + 8 <= len(body):
        size, name = struct.unpack_from(">I4s", body, at)
        if not name.isascii() or not name.decode("ascii").isprintable():
            return at
        if size == 0:
            return len(body)
        if size == 1:
            size = int(struct.unpack_from(">Q", body, at + 8)[0])
        if size < 8 or at + size > len(body):
            return at
        at += size
    return at
