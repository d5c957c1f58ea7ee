"""What a file claims to be, checked on its bytes before a decoder sees them.

The walks (`walks.py`) look at lengths only and take a bounded number of steps. They refuse what is made to hurt; what
is merely damaged is found by the decoder, which has the last word on everything else.
"""

from collections.abc import Callable
from dataclasses import dataclass

from serve.images.limits import DecodeLimits, Refusal
from serve.images.walks import Claim, walk_gif, walk_jpeg, walk_png, walk_tiff, walk_webp

#: Pillow's names of the formats that may be decoded. "MPO" must not stand here (KeyError in Pillow): such files open
#: as JPEG. HEIF needs the extra `heic`.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
HEIF = "HEIF"
_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
)
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"mif2"}
#: Of the brands a file may list, these many are looked at.
_MOST_BRANDS = 32
_WALKS: dict[str, Callable[[bytes], Claim]] = {
    "PNG": walk_png,
    "GIF": walk_gif,
    "WEBP": walk_webp,
    "JPEG": walk_jpeg,
    "TIFF": walk_tiff,
}


@dataclass(frozen=True, slots=True)
class Header:
    """A file that may go to a decoder."""

    #: Pillow's name of the format.
    format: str
    claim: Claim


def sniff(body: bytes) -> str | None:
    """Pillow's name of the format that the first bytes stand for, whatever the file is called; None for others."""
    for magic, name in _MAGIC:
        if body.startswith(magic):
            return name
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "WEBP"
    if body[4:8] == b"ftyp":
        return _sniff_boxes(body)
    return None


def _sniff_boxes(body: bytes) -> str | None:
    """AVIF and HEIC are the same container; the brands tell them apart, and the major brand may be a neutral one."""
    end = min(int.from_bytes(body[:4]), len(body), 16 + 4 * _MOST_BRANDS)
    brands = {body[8:12], *(body[place : place + 4] for place in range(16, end - 3, 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return HEIF if brands & _HEIF_BRANDS else None


def check_header(body: bytes, limits: DecodeLimits, formats: tuple[str, ...] = FORMATS) -> Header:
    """Judge a file by its header; raise `Refusal`."""
    name = sniff(body)
    if name not in formats:
        raise Refusal("unsupported_format")
    walk = _WALKS.get(name)
    claim = walk(body) if walk is not None else Claim()
    check_size(claim, limits)
    if claim.bits < claim.fewest_bits:
        raise Refusal("corrupt_image", "it has fewer bytes than its pixels need")
    return Header(name, claim)


def check_size(claim: Claim, limits: DecodeLimits) -> None:
    """Hold what a file claims against the limits; an unknown size (0) passes. Raise `Refusal`."""
    width, height, frames = claim.width, claim.height, claim.frames
    if width * height > limits.max_pixels:
        raise Refusal("too_many_pixels", f"{width} x {height} pixels are more than the limit of {limits.max_pixels:,}")
    decoded = width * height * claim.bytes_per_pixel
    if decoded > limits.max_decoded_bytes:
        message = f"{decoded:,} bytes decoded are more than the limit of {limits.max_decoded_bytes:,}"
        raise Refusal("too_many_pixels", message)
    # Three more for the finished picture.
    if width * height * (claim.working_bytes + 3) > limits.max_working_bytes:
        raise Refusal("decoder_memory")
    if frames > 1 and frames * width * height > limits.max_frame_pixels:
        message = f"{frames} frames of {width} x {height} pixels are more than the limit of {limits.max_frame_pixels:,}"
        raise Refusal("too_many_pixels", message)
    if width and height and min(width, height) < limits.min_side:
        raise Refusal("too_small", f"{width} x {height} pixels: no side may be under {limits.min_side}")
