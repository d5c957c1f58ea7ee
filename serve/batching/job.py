"""What waits for a slot, and what may go through it at once."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job(Generic[T]):
    """Work that one caller handed over; it goes through a slot undivided."""

    #: Jobs of equal buckets may share a batch.
    bucket: Hashable
    #: Higher goes first.
    rank: int
    tenant: str
    items: int
    bytes: int
    #: On the clock that the queue is told.
    deadline: float
    payload: T


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a batch may hold. A single job that is larger goes alone."""

    items: int
    bytes: int

    def __post_init__(self) -> None:
        if self.items < 1 or self.bytes < 1:
            raise ValueError(f"limits must be positive, not {self.items} items and {self.bytes} bytes")
