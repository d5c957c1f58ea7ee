"""The format of schedule files: gzip over lines of JSON, a head and then one line per event, ascending by time.

Written and read line by line, so neither side holds more than one. Light to import: generators read with it.
"""

import gzip
import hashlib
import zlib
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedReader, BufferedWriter
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json, to_json

from deploy.errors import DeployError
from deploy.loadtest.workload.planned import Kind, Planned

#: The fastest one.
_LEVEL = 1
_BUFFER_BYTES = 2**18
#: Every line begins with a hash of its key, so that a generator knows its own without reading on.
_LANE = b'{"lane":'
_LANES = 2**16
_KINDS: Mapping[str, Kind] = {kind.value: kind for kind in Kind}


class ScheduleHead(BaseModel):
    """The first line."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: Literal["vitrine.loadtest.schedule/1"] = "vitrine.loadtest.schedule/1"
    seed: int
    #: Events per second that were asked for.
    rate: float
    #: Seconds from the beginning to the end; all times are below.
    duration_s: float
    #: Seconds of it that are warm-up.
    warmup_s: float = 0.0
    arrivals: str
    count: int = Field(ge=0)
    namespace: str = ""
    #: What the addresses of the photos begin with; empty where they have nothing in common.
    photos: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleFacts:
    """What stands in a schedule."""

    count: int
    duration_s: float
    #: Over the lines of the events without the address of the photos, which changes from run to run.
    sha256: str
    #: Photos that are named in all.
    images: int
    #: Of all messages; keys and headers are not counted.
    value_bytes: int
    kinds: Mapping[str, int]


class Due(NamedTuple):
    """An event and when it is to be sent, in seconds since the beginning of the schedule."""

    at_s: float
    event: Planned


class ScheduleWriter:
    """Writes a schedule, for the length of a block; raise `DeployError` where the file cannot be written."""

    def __init__(self, path: Path, head: ScheduleHead) -> None:
        self._path = path
        self._head = head
        self._origin = head.photos.encode()
        self._digest = hashlib.sha256()
        self._kinds: Counter[str] = Counter()
        self._images = self._value_bytes = 0
        self._stack = ExitStack()
        self._file: BufferedWriter

    def add(self, line: bytes, event: Planned) -> None:
        """Write the line of the event, see `line_of`."""
        self._file.write(line)
        self._digest.update(line.replace(self._origin, b"") if self._origin else line)
        self._kinds[event.kind.value] += 1
        self._images += event.images
        self._value_bytes += len(event.value)

    def facts(self) -> ScheduleFacts:
        """What was written."""
        return ScheduleFacts(
            count=self._kinds.total(),
            duration_s=self._head.duration_s,
            sha256=self._digest.hexdigest(),
            images=self._images,
            value_bytes=self._value_bytes,
            kinds=dict(self._kinds),
        )

    def __enter__(self) -> Self:
        with _told(self._path, "written"):
            raw = self._stack.enter_context(self._path.open("wb"))
            # Neither name nor time, so that the same schedule is the same file.
            zipped = gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=raw, mtime=0)
            self._stack.enter_context(zipped)
            self._file = self._stack.enter_context(BufferedWriter(zipped, _BUFFER_BYTES))
            self._file.write(self._head.model_dump_json().encode() + b"\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _told(self._path, "written"):
            self._stack.close()
            if isinstance(error, OSError):
                raise error
        if kind is None and self._kinds.total() != self._head.count:
            raise ValueError(f"{self._kinds.total()} events in a schedule of {self._head.count}")


def line_of(at_s: float, event: Planned) -> bytes:
    """The line of an event."""
    told: dict[str, object] = {
        "lane": zlib.crc32(event.key) % _LANES,
        "at": at_s,
        "number": event.number,
        "topic": event.topic,
        "key": event.key.decode(),
        "kind": event.kind.value,
        "event_id": event.event_id,
        "listing": event.listing,
        "revision": event.revision,
        "loose": event.loose,
        "images": event.images,
    }
    try:
        told["value"] = event.value.decode()
    except UnicodeDecodeError:
        told["value_base64"] = b64encode(event.value).decode()
    return to_json(told) + b"\n"


def due_of(line: bytes) -> Due:
    """The event of a line; raise `ValueError`, `KeyError`, `TypeError` or `AttributeError` where it has none."""
    told: dict[str, Any] = from_json(line)
    encoded = told.get("value_base64")
    event = Planned(
        number=told["number"],
        topic=told["topic"],
        key=told["key"].encode(),
        value=told["value"].encode() if encoded is None else b64decode(encoded, validate=True),
        kind=_KINDS[told["kind"]],
        event_id=told["event_id"],
        listing=told["listing"],
        revision=told["revision"],
        loose=told["loose"],
        images=told["images"],
    )
    return Due(float(told["at"]), event)


def open_schedule(path: Path, *, shard: int = 0, shards: int = 1) -> tuple[ScheduleHead, Iterator[Due]]:
    """The head, and the events one by one as they are read; raise `DeployError` where the file is broken.

    Of `shards` readers each gets another part, and all events of a listing go to the same: between processes they
    would lose their order. The others' lines cost little.
    """
    lines = _lines(path)
    try:
        head = ScheduleHead.model_validate_json(next(lines, b""))
    except ValidationError as error:
        raise DeployError(f"{path} is no schedule: it has no head of one") from error
    return head, _dues(path, head, lines, shard, shards)


def _dues(path: Path, head: ScheduleHead, lines: Iterator[bytes], shard: int, shards: int) -> Iterator[Due]:
    count, reached = 0, 0.0
    for count, line in enumerate(lines, 1):
        try:
            if shards > 1 and int(line[len(_LANE) : line.index(b",")]) % shards != shard:
                continue
            due = due_of(line)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DeployError(f"the schedule {path} is broken in line {count + 1}: {error!r}") from error
        if due.at_s < reached:
            raise DeployError(f"the schedule {path} goes back in time in line {count + 1}")
        reached = due.at_s
        yield due
    if count != head.count:
        raise DeployError(f"the schedule {path} has {count} events, its head says {head.count}")


def _lines(path: Path) -> Iterator[bytes]:
    with _told(path, "read"), gzip.open(path, "rb") as zipped, BufferedReader(zipped, _BUFFER_BYTES) as file:
        yield from file


@contextmanager
def _told(path: Path, what: str) -> Iterator[None]:
    """Whatever is wrong with the file is told as a `DeployError`."""
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        raise DeployError(f"the schedule {path} cannot be {what}: {error}") from error
