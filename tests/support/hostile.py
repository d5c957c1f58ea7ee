"""Files that are made to hurt whoever decodes them: bombs, cuts, flipped bits, two things in one. Always the same ones.

`handmade` are the constructions, `damaged` the honest files of every format cut short and with flipped bits.
"""

import gzip
import random
import struct
import zlib
from collections.abc import Iterator
from functools import cache

import numpy as np
from PIL import Image, PngImagePlugin

from tests.support.pictures import saved

SIGNATURE = b"\x89PNG\r\n\x1a\n"
STEP = 64


def chunk(name: bytes, data: bytes, length: int | None = None) -> bytes:
    """A PNG chunk; `length` lies about it."""
    told = len(data) if length is None else length
    return struct.pack(">I", told) + name + data + struct.pack(">I", zlib.crc32(name + data))


def header(width: int, height: int, depth: int = 8, colour: int = 2, interlaced: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))


def png(*chunks: bytes, width: int = 64, height: int = 64) -> bytes:
    """A flat PNG with further chunks before its pixels."""
    rows = zlib.compress((b"\0" + bytes(3 * width)) * height)
    return SIGNATURE + header(width, height) + b"".join(chunks) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def flat_png(width: int, height: int) -> bytes:
    """A whole PNG of any size, a thousandth of what it stands for."""
    packer = zlib.compressobj(1)
    row = b"\0" + bytes(3 * width)
    rows = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    return SIGNATURE + header(width, height) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def tiff(*pages: list[tuple[int, int, int, int]], following: list[int] | None = None, tail: bytes = b"") -> bytes:
    """A little-endian TIFF of directories of (tag, type, count, value); `following` lies about the next page."""
    body, place = b"II*\0" + struct.pack("<I", 8), 8
    for number, entries in enumerate(pages):
        size = 2 + 12 * len(entries) + 4
        last = number + 1 == len(pages)
        after = following[number] if following else 0 if last else place + size
        body += struct.pack("<H", len(entries))
        for tag, kind, count, value in entries:
            packed = struct.pack("<HH", value, 0) if kind == 3 and count == 1 else struct.pack("<I", value)
            body += struct.pack("<HHI", tag, kind, count) + packed
        body += struct.pack("<I", after)
        place += size
    return body + tail


def page(width: int, height: int, strip: int = 8, size: int = 64, **changes: int) -> list[tuple[int, int, int, int]]:
    """The directory of an uncompressed RGB page."""
    entries = {256: (4, 1, width), 257: (4, 1, height), 258: (3, 1, 8), 259: (3, 1, changes.get("compression", 1))}
    entries |= {262: (3, 1, 2), 273: (4, 1, strip), 277: (3, 1, changes.get("samples", 3))}
    entries |= {278: (4, 1, changes.get("rows", height)), 279: (4, 1, size)}
    return [(tag, *rest) for tag, rest in sorted(entries.items())]


def gif(frames: int, width: int = 64, height: int = 64) -> bytes:
    """An animation of frames of some bytes each; decoders that look at all of them make whole canvases."""
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(3) + b"\xff\xff\xff"
    image = b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00"
    return screen + image * frames + b"\x3b"


def webp(chunk_name: bytes, data: bytes, *more: bytes) -> bytes:
    """A RIFF file with one chunk, right in its lengths, and whatever follows."""
    inner = b"WEBP" + chunk_name + struct.pack("<I", len(data)) + data + b"".join(more)
    return b"RIFF" + struct.pack("<I", len(inner)) + inner


def jpeg_of(width: int, height: int, body: bytes) -> bytes:
    """The same JPEG with another size in its header."""
    for marker in (b"\xff\xc0", b"\xff\xc2"):
        if (place := body.find(marker)) > 0:
            return body[: place + 5] + struct.pack(">HH", height, width) + body[place + 9 :]
    raise ValueError("no frame header")


def honest() -> dict[str, bytes]:
    """A small honest file of every format and of the ways to write it."""
    noise = Image.fromarray(np.random.default_rng(5).integers(0, 255, (48, 40, 3), dtype=np.uint8))
    frames = [Image.new("RGB", noise.size, (level, 0, 0)) for level in (9, 99)]
    exif = Image.Exif()
    exif[0x0112], exif[0x8298] = 6, "somebody"
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "words " * 40, zip=True)

    def animation() -> dict[str, object]:
        return {"save_all": True, "append_images": [frame.copy() for frame in frames]}

    files: dict[str, tuple[Image.Image, str, dict[str, object]]] = {
        "jpeg": (noise, "JPEG", {"quality": 80, "exif": exif}),
        "jpeg-progressive": (noise, "JPEG", {"quality": 80, "progressive": True}),
        "jpeg-grey": (noise.convert("L"), "JPEG", {}),
        "jpeg-cmyk": (noise.convert("CMYK"), "JPEG", {}),
        "mpo": (noise, "MPO", animation()),
        "png": (noise, "PNG", {"pnginfo": text, "exif": exif}),
        "png-palette": (noise.quantize(64), "PNG", {"transparency": 3}),
        "png-deep": (Image.fromarray(np.arange(1920, dtype=np.uint16).reshape(48, 40) * 30), "PNG", {}),
        "apng": (noise, "PNG", animation()),
        "gif": (noise, "GIF", animation()),
        "webp": (noise, "WEBP", {"exif": exif}),
        "webp-lossless": (noise.convert("RGBA"), "WEBP", {"lossless": True}),
        "webp-animated": (noise, "WEBP", animation()),
        "tiff": (noise, "TIFF", {}),
        "tiff-lzw": (noise, "TIFF", {"compression": "tiff_lzw"}),
        "tiff-deflate": (noise, "TIFF", {"compression": "tiff_adobe_deflate"}),
        "tiff-jpeg": (noise, "TIFF", {"compression": "jpeg"}),
        "tiff-pages": (noise.convert("L"), "TIFF", animation()),
        "bmp": (noise, "BMP", {}),
        "avif": (noise, "AVIF", {"quality": 60, "exif": exif}),
    }
    return {name: saved(image.copy(), file_format, **options) for name, (image, file_format, options) in files.items()}


@cache
def handmade() -> tuple[tuple[str, bytes], ...]:
    """Bombs, liars, and files that are two things at once."""
    good = honest()
    parts = (_pixels, _chunks, _frames, _pages, _segments, _two_in_one, _foreign)
    return tuple(file for part in parts for file in part(good))


def _pixels(good: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    for width, height in (
        (10_000, 8_000),
        (60_000, 60_000),
        (2**31 - 1, 2**31 - 1),
        (2**31, 2),
        (0, 0),
        (0, 50),
        (1, 1),
    ):
        yield f"png-{width}x{height}", SIGNATURE + header(width, height) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
        yield f"bmp-{width}x{height}", good["bmp"][:18] + struct.pack("<II", width, height) + good["bmp"][26:]
    largest = flat_png(7_000, 7_100)
    yield "png-largest-allowed", largest
    yield "png-largest-cut", largest[:40_000]
    yield "png-interlaced-empty", SIGNATURE + header(6_000, 6_000, interlaced=1) + chunk(b"IEND", b"")
    yield (
        "png-rows-bomb",
        SIGNATURE + header(64, 64) + chunk(b"IDAT", zlib.compress(bytes(40_000_000), 1)) + chunk(b"IEND", b""),
    )
    for width, height in ((65_535, 65_535), (65_535, 700), (7_000, 7_000), (0, 9), (1, 1)):
        for name in ("jpeg", "jpeg-progressive", "jpeg-cmyk"):
            yield f"{name}-{width}x{height}", jpeg_of(width, height, good[name])
    for width, height in ((16_384, 16_384), (6_000, 6_000), (1, 1)):
        size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        yield f"webp-{width}x{height}", webp(b"VP8X", bytes(4) + size)
        bits = struct.pack("<I", (width - 1 & 0x3FFF) | (height - 1 & 0x3FFF) << 14)
        yield f"webp-lossless-{width}x{height}", webp(b"VP8L", b"\x2f" + bits + bytes(20))
    place = good["avif"].index(b"ispe") + 8
    for width, height in ((60_000, 60_000), (7_000, 7_000), (0, 0)):
        body = good["avif"]
        yield f"avif-{width}x{height}", body[:place] + struct.pack(">II", width, height) + body[place + 8 :]


def _chunks(good: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    bomb = zlib.compress(bytes(40_000_000), 1)
    yield "png-ztxt-bomb", png(chunk(b"zTXt", b"bomb\0\0" + bomb))
    yield "png-itxt-bomb", png(chunk(b"iTXt", b"bomb\0\1\0\0\0" + bomb))
    yield "png-iccp-bomb", png(chunk(b"iCCP", b"bomb\0\0" + bomb))
    yield "png-text-long", png(chunk(b"tEXt", b"long\0" + b"a" * 2_000_000))
    yield "png-text-many", png(*[chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(900)))] * 2_000)
    yield "png-text-behind", png()[:-12] + chunk(b"zTXt", b"bomb\0\0" + bomb) + chunk(b"IEND", b"")
    yield "png-chunks-many", png(*[chunk(b"aaAa", b"")] * 200_000)
    yield "png-length-lies", png(chunk(b"tEXt", b"short", length=2**31 - 1))
    yield "png-length-negative", png(chunk(b"tEXt", b"short", length=2**32 - 1))
    yield "png-two-headers", png(header(9_000, 9_000))
    yield "png-no-header", SIGNATURE + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    yield "png-signature", SIGNATURE
    yield "png-frames", png(chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)))
    yield "png-frames-none", png(chunk(b"acTL", struct.pack(">II", 0, 0)))
    yield "png-exif-loop", png(chunk(b"eXIf", tiff([(0x8769, 4, 1, 8), (0x8825, 4, 1, 8)])))
    yield "jpeg-exif-loop", with_exif(good["jpeg-grey"], tiff([(0x8769, 4, 1, 8), (0xA005, 4, 1, 8)], following=[8]))
    deep = tiff(*[[(0x8769, 4, 1, 8 + 18 * (number + 1))] for number in range(2_000)])
    yield "jpeg-exif-deep", with_exif(good["jpeg-grey"], deep)
    yield "jpeg-exif-long", with_exif(good["jpeg-grey"], tiff([(0x010E, 2, 2**32 - 1, 8)]))


def with_exif(jpeg: bytes, exif: bytes) -> bytes:
    """A JPEG with these bytes as its EXIF."""
    data = b"Exif\0\0" + exif
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data + jpeg[2:]


def _frames(good: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    yield "gif-frames", gif(200_000)
    yield "gif-canvas", gif(3, 65_535, 65_535)
    yield "gif-endless-blocks", gif(1)[:-1] + b"\x21\xfe" + b"\x01a" * 2_000_000
    yield "gif-no-frames", gif(0)
    yield "gif-far-frame", gif(1)[:-1] + b"\x2c" + struct.pack("<HHHHB", 65_535, 65_535, 65_535, 65_535, 0) + b"\x02\0"
    frame = b"ANMF" + struct.pack("<I", 16) + bytes(16)
    yield "webp-frames", webp(b"VP8X", b"\x02" + bytes(3) + (999).to_bytes(3, "little") * 2, frame * 50_000)
    yield "webp-chunks", webp(b"VP8X", bytes(10), (b"abcd" + bytes(4)) * 200_000)
    yield "webp-empty", webp(b"", b"")
    yield "webp-long", webp(b"VP8 ", b"") + struct.pack("<4sI", b"EXIF", 2**32 - 1)


def _pages(good: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    yield "tiff-loop", tiff(page(64, 64), following=[8])
    yield "tiff-loop-of-two", tiff(page(64, 64), page(64, 64), following=[8 + 2 + 12 * 9 + 4, 8])
    yield "tiff-pages-many", tiff(*[page(64, 64)] * 3_000, tail=bytes(12_288))
    yield "tiff-entries", b"II*\0\x08\0\0\0\xff\xff" + bytes(200)
    yield (
        "tiff-values",
        tiff([*page(64, 64), *((tag, 1, 300_000, 8) for tag in range(60_000, 61_000))], tail=bytes(300_000)),
    )
    yield "tiff-huge", tiff(page(60_000, 60_000))
    yield "tiff-uncovered", tiff(page(64, 500_000, rows=64))
    yield "tiff-strip-beyond", tiff(page(64, 64, strip=2**31, size=2**31))
    yield "tiff-samples", tiff(page(64, 64, samples=60_000))
    for compression in (2, 3, 4, 5, 6, 7, 8, 32773, 34676, 34712, 34925, 50000, 50001, 65535):
        yield f"tiff-compression-{compression}", tiff(page(6_000, 6_000, compression=compression), tail=bytes(64))
    yield "tiff-zero", tiff(page(0, 0))
    yield "tiff-big", b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**60)
    yield "tiff-nothing", b"MM\0*\0\0\0\0"


def _segments(good: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    jpeg, progressive = good["jpeg"], good["jpeg-progressive"]
    scan = progressive[progressive.index(b"\xff\xda") : progressive.index(b"\xff\xc4", progressive.index(b"\xff\xda"))]
    yield "jpeg-scans", jpeg_of(6_000, 6_000, progressive)[:-2] + scan * 3_000 + b"\xff\xd9"
    yield "jpeg-scans-few", jpeg_of(4_000, 4_000, progressive)[:-2] + scan * 60 + b"\xff\xd9"
    yield "jpeg-fill", jpeg[:2] + b"\xff" * 500_000 + jpeg[2:]
    yield "jpeg-segments", jpeg[:2] + b"\xff\xe9\0\2" * 300_000 + jpeg[2:]
    yield "jpeg-comments", jpeg[:2] + (b"\xff\xfe\xff\xff" + bytes(65_533)) * 100 + jpeg[2:]
    yield "jpeg-profile-parts", jpeg[:2] + (b"\xff\xe2\0\x18ICC_PROFILE\0\1\xff" + bytes(8)) * 300 + jpeg[2:]
    yield "jpeg-short-segment", jpeg[:2] + b"\xff\xe1\0\0" + jpeg[2:]
    yield "jpeg-only-start", b"\xff\xd8\xff"
    yield "jpeg-of-ends", b"\xff\xd8\xff\xd9" * 1_000
    yield "jpeg-arithmetic", jpeg.replace(b"\xff\xc0", b"\xff\xc9", 1)
    yield "jpeg-no-tables", jpeg.replace(b"\xff\xc4", b"\xff\xe4")


def _two_in_one(good: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    archive = b"PK\x03\x04\x14\0\0\0" + bytes(64) + b"PK\x05\x06" + bytes(18)
    script = b"<script>alert(1)</script><?php system('id'); ?>"
    yield "png-and-zip", good["png"] + archive
    yield "gif-and-script", good["gif"].replace(b"\x3b", b"\x21\xfe\x2f" + script + b"\0\x3b", 1) + script
    yield "jpeg-and-tail", good["jpeg"] + script + archive
    yield "pdf-and-jpeg", b"%PDF-1.7\n" + good["jpeg"]
    yield "gif-as-script", b"GIF89a/*" + bytes(20) + b"*/=1;alert(1)"
    yield "jpeg-named-png.png", good["jpeg"]
    yield "webp-named-gif.gif", good["webp"]
    yield "png-named-txt.txt", good["png"]
    yield "gzip-of-nothing", gzip.compress(bytes(20_000_000), mtime=0)
    yield "gzip-of-png", gzip.compress(flat_png(2_000, 2_000), mtime=0)


def _foreign(good: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    picture = Image.new("RGB", (64, 64), (1, 2, 3))
    for name in ("EPS", "ICO", "PPM", "TGA", "PCX", "SGI", "JPEG2000", "BLP", "DDS"):
        yield name.lower(), saved(picture.quantize() if name == "BLP" else picture, name)
    yield (
        "svg",
        b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    )
    yield "svg-entities", b"<!DOCTYPE s [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]><svg>&b;</svg>"
    yield "pdf", b"%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction<</S/Launch/F(calc.exe)>>>>endobj\n%%EOF"
    yield "psd", b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 30_000, 30_000, 8, 3) + bytes(64)
    yield "fits", b"SIMPLE  =                    T" + b" " * 2_850
    yield "blp-bomb", b"BLP2" + struct.pack("<IBBBBII", 1, 1, 0, 0, 0, 20_000, 20_000) + bytes(264)
    yield "heic-empty", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    yield "avif-empty", b"\0\0\0\x18ftypavif\0\0\0\0mif1avif"
    yield "avif-brands", b"\0\x10\0\0ftypmif1\0\0\0\0" + b"abcd" * 200_000
    yield "nothing", b""
    yield "zero", bytes(1)
    yield "zeros", bytes(100_000)
    yield "text", b"hello, this is text named .jpg"


def damaged(flips: int = 40) -> Iterator[tuple[str, bytes]]:
    """Every honest file cut at each 64th byte, and with some bits flipped."""
    for name, body in honest().items():
        for size in range(0, len(body), STEP):
            yield f"{name}-cut-{size}", body[:size]
        chance = random.Random(name)
        for number in range(flips):
            changed = bytearray(body)
            for _ in range(chance.choice((1, 1, 2, 8, 32))):
                changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
            yield f"{name}-flip-{number}", bytes(changed)


def corpus(count: int) -> list[tuple[str, bytes]]:
    """All handmade files, and as many damaged ones, spread evenly, as make `count`."""
    files = list(handmade())
    wanted = max(0, count - len(files))
    others = list(damaged(flips=40 if count <= 1_000 else 90))
    step = max(1.0, len(others) / max(1, wanted))
    return files + [others[int(number * step)] for number in range(min(wanted, len(others)))]
