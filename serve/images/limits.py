"""What a source photo may cost, and how a decoder says no. Plain Python, for the decode workers load it too."""

from dataclasses import dataclass

MIB = 2**20


class Refusal(Exception):
    """A file cannot be decoded; `code` is that of one of the errors in `serve.errors`."""

    def __init__(self, code: str, message: str | None = None) -> None:
        self.code = code
        self.message = message
        super().__init__(message or code)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeLimits:
    """What a source photo may cost, judged by its header."""

    max_pixels: int = 50_000_000
    max_decoded_bytes: int = 150 * MIB
    #: Shortest side in pixels that is worth working on.
    min_side: int = 32
    #: Frames x area of an animation or of a file of many pages. Only the first one is decoded; the bound keeps out
    #: files that are made to hurt whoever looks at all of them.
    max_frame_pixels: int = 250_000_000
    #: What shows through where the picture is transparent, sRGB.
    ground: tuple[int, int, int] = (255, 255, 255)
    #: What the decoder may take by its own estimate; a decode worker sets it to what its process may take.
    max_working_bytes: int = 2**40


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLimits:
    """What one decoding may take of its process."""

    #: Resident memory of the whole process, in bytes.
    memory_bytes: int = 512 * MIB
    #: CPU time of one file, in seconds.
    cpu_s: float = 4.0
    #: Time on the wall for one file, in seconds. Larger, for the machine may be busy with something else.
    wall_s: float = 15.0
    #: Room for the pixels of one picture, in bytes: three for each pixel.
    room_bytes: int = 150_000_000
