"""The numbers that bound the engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from consumers.core.bitmap import MAX_WINDOW
from serve.schemas.exchange import MAX_EVENTS_PER_REQUEST

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Counts are events, sizes bytes, times seconds."""

    #: Credit: what may be with Serve at a time, whatever Serve's own capacity says.
    max_in_flight: int = 256
    max_in_flight_bytes: int = 16 * _MIB
    #: Credit until Serve has told its capacity.
    initial_in_flight: int = 32
    max_events_per_request: int = MAX_EVENTS_PER_REQUEST
    #: One try of an event may take this long; then it counts as broken. The time in Serve's own queue counts too.
    item_deadline_s: float = 900.0
    #: An event that met back-pressure so often and for so long, while others got through, is itself at fault.
    stubborn_waits: int = 60
    stubborn_after_s: float = 900.0
    #: After so many broken tries an event travels alone.
    alone_after_breaks: int = 1
    #: Offsets in work per partition. A partition is paused while one more poll could pass this.
    window: int = MAX_WINDOW
    #: The most records that one poll gives.
    poll_batch: int = 500
    #: Events received and not done, over all partitions: pause at high, resume below low.
    buffered_high: int = 8192
    buffered_low: int = 4096
    buffered_bytes_high: int = 64 * _MIB
    buffered_bytes_low: int = 32 * _MIB
    #: Shares of the topics, in work and in memory, where all of them have events waiting; 1 where nothing is said.
    weights: Mapping[str, int] = field(default_factory=dict)
    #: A blocked head of a partition is diverted no more often than this.
    divert_every_s: float = 10.0
    #: Results and offsets become visible together, in transactions.
    transactional: bool = False
    transaction_every_s: float = 1.0
    transaction_messages: int = 500
    commit_every_s: float = 1.0
    commit_every: int = 100
    #: An unanswered commit counts as failed after this time.
    commit_deadline_s: float = 5.0

    @property
    def max_unpublished(self) -> int:
        """Answers on their way to the broker at which no new work begins."""
        return max(self.max_in_flight, 2 * self.transaction_messages if self.transactional else 0)

    def __post_init__(self) -> None:
        """Refuse numbers under which nothing could move, or the bitmap could not cover the window."""
        if not 1 <= self.poll_batch < self.window <= MAX_WINDOW:
            raise ValueError(f"1 <= poll_batch < window <= {MAX_WINDOW} does not hold")
        if not 1 <= self.max_events_per_request <= MAX_EVENTS_PER_REQUEST:
            raise ValueError(f"max_events_per_request is not within 1..{MAX_EVENTS_PER_REQUEST}")
        if self.buffered_low > self.buffered_high or self.buffered_bytes_low > self.buffered_bytes_high:
            raise ValueError("a low watermark is above its high one")
        if min(self.buffered_low, self.buffered_bytes_low, self.initial_in_flight, self.max_in_flight) < 1:
            raise ValueError("watermarks and credits must be positive")
