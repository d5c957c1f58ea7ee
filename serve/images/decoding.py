"""From bytes of a stranger to an upright, opaque sRGB picture, or a typed error.

`unpacking.py` does it, in this process (`decode`, for benches and tests) or in a worker's (`sandbox.py`, for all that
strangers send); here its words become those of this room.
"""

from collections.abc import Callable, Mapping
from typing import Final

from serve.errors import (
    CorruptImage,
    DecoderCrashed,
    DecoderMemory,
    DecoderStalled,
    DecoderTimeout,
    SourceError,
    TooManyPixels,
    TooSmall,
    UnsupportedFormat,
)
from serve.images.header import FORMATS
from serve.images.limits import DecodeLimits, Refusal
from serve.images.unpacking import supported, unpack
from serve.interfaces import FetchedBytes, SourceImage

__all__ = ["FORMATS", "DecodeLimits", "Decoder", "decode", "refused"]

#: Decodes a source file; blocking. Raises `SourceError`, or `DecoderUnavailable`.
Decoder = Callable[[FetchedBytes, str, DecodeLimits], SourceImage]

_DEFAULT_LIMITS = DecodeLimits()
_ERRORS: Final[Mapping[str, type[SourceError]]] = {
    error.code: error
    for error in (
        CorruptImage,
        DecoderCrashed,
        DecoderMemory,
        DecoderStalled,
        DecoderTimeout,
        TooManyPixels,
        TooSmall,
        UnsupportedFormat,
    )
}


def refused(code: str, message: str | None = None) -> SourceError:
    """The error for the code of a `Refusal`; an unknown one counts as a crash, for no decoder of ours gives it."""
    return _ERRORS.get(code, DecoderCrashed)(message)


def decode(fetched: FetchedBytes, image_id: str, limits: DecodeLimits = _DEFAULT_LIMITS) -> SourceImage:
    """Decode the first frame in this process: upright, sRGB, alpha on `limits.ground`, `uint8 [H, W, 3]`.

    Raise `UnsupportedFormat`, `CorruptImage`, `TooManyPixels`, `TooSmall` or `DecoderMemory`.
    """
    try:
        found = unpack(fetched.body, limits, formats=supported())
    except Refusal as error:
        raise refused(error.code, error.message) from error
    except MemoryError as error:
        raise DecoderMemory from error
    return SourceImage(
        image_id=image_id,
        sha256=fetched.sha256,
        pixels=found.pixels,
        format=found.format,
        flags=found.flags,
        notices=found.notices,
    )
