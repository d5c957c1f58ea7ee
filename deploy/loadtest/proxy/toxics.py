"""What a proxy may do to a connection, with the names and attributes of Toxiproxy 2, which many know.

Times are whole milliseconds, but for the microseconds of `slicer.delay`; `bandwidth.rate` is KB/s.
"""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, ClassVar, Self

from deploy.errors import DeployError

_KB = 1000
#: A slow line is slow in steps of this length, so that a change is felt at once.
_STEP_S = 0.1
#: `bytes` by a second name, for the toxic that has an attribute of the first.
Data = bytes


class Stream(StrEnum):
    """Which way the bytes go."""

    UPSTREAM = "upstream"  #: from the client to the server
    DOWNSTREAM = "downstream"  #: from the server to the client


@dataclass(slots=True)
class Line:
    """One direction of one connection, as the toxics see it."""

    chance: random.Random
    #: Wait so long, or until the toxics of the line change.
    pause: Callable[[float], Awaitable[None]]
    #: When the chunk in hand came, and what time it is, on one clock.
    arrived: float
    now: Callable[[], float]
    #: Bytes that passed a `limit_data` so far.
    passed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a toxic does. This one does nothing."""

    type: ClassVar[str] = ""

    async def through(self, chunk: bytes, line: Line) -> AsyncIterator[bytes]:  # noqa: ARG002
        """What comes out for `chunk`, piece by piece, each when it is due."""
        yield chunk

    async def before_close(self, line: Line) -> None:
        """Called when the sender has closed, before the receiver is told."""

    @property
    def cut_after_s(self) -> float | None:
        """The connection is cut so long after the toxic came, if at all."""
        return None

    @property
    def cut_after_bytes(self) -> int | None:
        """The connection is cut after so many bytes, if at all."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency(Effect):
    """Delays data by `latency` +/- `jitter`."""

    type: ClassVar[str] = "latency"
    latency: int = 0
    jitter: int = 0

    async def through(self, chunk: bytes, line: Line) -> AsyncIterator[bytes]:
        """All of it, later."""
        delay_s = (self.latency + line.chance.uniform(-self.jitter, self.jitter)) / 1000
        await line.pause(line.arrived + delay_s - line.now())
        yield chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth(Effect):
    """Lets `rate` KB/s through."""

    type: ClassVar[str] = "bandwidth"
    rate: int = 0

    async def through(self, chunk: bytes, line: Line) -> AsyncIterator[bytes]:
        """Slice by slice, each after the time that it takes."""
        step = max(1, round(self.rate * _KB * _STEP_S))
        for start in range(0, len(chunk), step):
            piece = chunk[start : start + step]
            await line.pause(len(piece) / (self.rate * _KB) if self.rate else _STEP_S)
            yield piece


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowClose(Effect):
    """Holds the end of a stream back for `delay`."""

    type: ClassVar[str] = "slow_close"
    delay: int = 0

    async def before_close(self, line: Line) -> None:
        """Wait."""
        await line.pause(self.delay / 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeout(Effect):
    """Lets nothing through and closes after `timeout`; with 0 it stays open and swallows data until it is removed."""

    type: ClassVar[str] = "timeout"
    timeout: int = 0

    async def through(self, chunk: bytes, line: Line) -> AsyncIterator[bytes]:  # noqa: ARG002
        """Nothing."""
        return
        yield b""

    @property
    def cut_after_s(self) -> float | None:
        """Never with 0."""
        return self.timeout / 1000 if self.timeout else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetPeer(Effect):
    """Resets the connection (TCP RST) after `timeout`, with 0 at once."""

    type: ClassVar[str] = "reset_peer"
    timeout: int = 0

    @property
    def cut_after_s(self) -> float | None:
        """Always."""
        return self.timeout / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Slicer(Effect):
    """Cuts data into pieces of `average_size` +/- `size_variation` bytes with `delay` microseconds between them."""

    type: ClassVar[str] = "slicer"
    average_size: int = 1024
    size_variation: int = 0
    delay: int = 0

    async def through(self, chunk: bytes, line: Line) -> AsyncIterator[bytes]:
        """Piece by piece."""
        start = 0
        while start < len(chunk):
            if start:
                await line.pause(self.delay / 1_000_000)
            size = self.average_size + line.chance.randint(-self.size_variation, self.size_variation)
            end = start + max(1, size)
            yield chunk[start:end]
            start = end


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitData(Effect):
    """Closes the connection after `bytes`."""

    type: ClassVar[str] = "limit_data"
    bytes: int = 0

    async def through(self, chunk: Data, line: Line) -> AsyncIterator[Data]:
        """What is left of the allowance."""
        allowed = chunk[: max(0, self.bytes - line.passed)]
        line.passed += len(chunk)
        if allowed:
            yield allowed

    @property
    def cut_after_bytes(self) -> int | None:
        """The allowance."""
        return self.bytes


EFFECTS: Mapping[str, type[Effect]] = {
    effect.type: effect for effect in (Latency, Bandwidth, SlowClose, Timeout, ResetPeer, Slicer, LimitData)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Toxic:
    """An effect on one direction of a share of the connections."""

    effect: Effect
    stream: Stream = Stream.DOWNSTREAM
    #: Share of the connections that it is put on.
    toxicity: float = 1.0
    #: By default `TYPE_STREAM`.
    name: str = ""

    @property
    def title(self) -> str:
        """The name by which it is removed."""
        return self.name or f"{self.effect.type}_{self.stream}"

    def to_json(self) -> dict[str, Any]:
        """As Toxiproxy writes it."""
        return {
            "name": self.title,
            "type": self.effect.type,
            "stream": self.stream.value,
            "toxicity": self.toxicity,
            "attributes": asdict(self.effect),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """As Toxiproxy reads it; `DeployError` where there is no such toxic or attribute."""
        kind = EFFECTS.get(str(document.get("type")))
        if kind is None:
            raise DeployError(f"no toxic {document.get('type')!r}; there are {', '.join(EFFECTS)}")
        attributes = dict(document.get("attributes", {}))
        if unknown := attributes.keys() - {field.name for field in fields(kind)}:
            raise DeployError(f"{kind.type} has no attribute {', '.join(sorted(unknown))}")
        return cls(
            effect=kind(**attributes),
            stream=Stream(document.get("stream", Stream.DOWNSTREAM)),
            toxicity=float(document.get("toxicity", 1.0)),
            name=str(document.get("name", "")),
        )
