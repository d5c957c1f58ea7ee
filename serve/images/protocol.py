"""What passes between a decode worker and whoever started it, beside the shared memory: small packets of JSON.

The worker has read a stranger's file in C, so nothing that it says is believed: types, lengths and sizes are checked.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from serve.images.limits import DecodeLimits, Refusal
from serve.images.notices import cleaned
from serve.images.unpacking import Unpacked

#: Largest packet.
MOST_BYTES = 65_536
READY = b"ready"
#: What a worker may say that it has done to a picture.
FLAGS = frozenset(
    {
        "alpha_flattened",
        "cmyk_without_profile",
        "exif_broken",
        "first_frame",
        "icc_broken",
        "icc_converted",
        "orientation_applied",
        "range_scaled",
    }
)
_FORMATS = frozenset({"jpeg", "png", "webp", "gif", "tiff", "bmp", "avif", "heif"})
_LONGEST_MESSAGE = 200


class Nonsense(Exception):
    """A worker's answer does not fit the protocol: it is broken, or no longer ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A worker's answer about a picture that it has decoded."""

    width: int
    height: int
    format: str
    mode: str
    flags: tuple[str, ...]
    notices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of its pixels."""
        return 3 * self.width * self.height


def pack_job(limits: DecodeLimits, memory_bytes: int) -> bytes:
    """A job; the file and the room for the pixels travel as descriptors."""
    return json.dumps({"memory_bytes": memory_bytes, "limits": asdict(limits)}).encode()


def unpack_job(packet: bytes) -> tuple[int, DecodeLimits]:
    """What the process may take, and what the picture may."""
    job = json.loads(packet)
    return int(job["memory_bytes"]), DecodeLimits(**job["limits"])


def pack_answer(found: Unpacked) -> bytes:
    """The worker's answer, without the pixels."""
    height, width = found.pixels.shape[:2]
    answer: dict[str, object] = {"width": width, "height": height, "format": found.format, "mode": found.mode}
    packet = json.dumps(answer | {"flags": found.flags, "notices": found.notices}).encode()
    return packet if len(packet) <= MOST_BYTES else json.dumps(answer | {"flags": found.flags}).encode()


def pack_refusal(code: str, message: str | None) -> bytes:
    """The worker's answer where it has no picture."""
    return json.dumps({"code": code, "message": message}).encode()


def unpack_answer(packet: bytes, room: int) -> Answer:
    """The answer to a job that was given `room` bytes for its pixels. Raise `Refusal` or `Nonsense`."""
    try:
        said = json.loads(packet)
        if "code" in said:
            raise _refusal(said["code"], said["message"])
        answer = Answer(
            width=_side(said["width"]),
            height=_side(said["height"]),
            format=_word(said["format"], _FORMATS),
            mode=_mode(said["mode"]),
            flags=tuple(_word(flag, FLAGS) for flag in said["flags"]),
            notices=_notices(said.get("notices", {})),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Nonsense("a decode worker answers what it should not") from error
    if answer.nbytes > room or len(answer.flags) > len(FLAGS):
        raise Nonsense("a decode worker tells of more than there is room for")
    return answer


def _refusal(code: object, message: object) -> Refusal:
    if not isinstance(code, str) or not (message is None or isinstance(message, str)):
        raise TypeError("neither code nor message")
    plain = message[:_LONGEST_MESSAGE] if message is not None and message.isprintable() else None
    return Refusal(code, plain)


def _side(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("not a number of pixels")
    return value


def _word(value: object, known: frozenset[str]) -> str:
    if not isinstance(value, str) or value not in known:
        raise ValueError("an unknown word")
    return value


def _mode(value: object) -> str:
    if not isinstance(value, str) or len(value) > 8 or not value.isascii():
        raise ValueError("not a mode")
    return value


def _notices(value: object) -> Mapping[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise TypeError("not a table")
    return cleaned({name: texts for name, texts in value.items() if isinstance(texts, list)})
