"""The state of the engine in numbers."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from consumers.core.breaker import BreakerState
from consumers.core.task import Assignment
from consumers.records import TopicPartition


@dataclass(frozen=True, slots=True)
class Status:
    """What is in work, and how far each partition has come."""

    in_flight: int
    buffered: int
    buffered_bytes: int
    paused: frozenset[TopicPartition]
    positions: dict[TopicPartition, int]
    window_used: dict[TopicPartition, int]
    #: Offsets received and not done, where anything is known of the partition.
    open: dict[TopicPartition, int]
    #: Timestamp of the oldest record that is not done, ms since 1970.
    oldest_ms: int | None
    #: The same over the events that come for the first time: those from retry topics have waited on purpose.
    oldest_new_ms: int | None
    breaker: BreakerState
    #: Messages that the broker has not acknowledged.
    unpublished: int
    #: Commits, or transactions, in a row that were never answered, or failed.
    commits_unanswered: int

    @classmethod
    def of(
        cls,
        assignments: Iterable[Assignment],
        paused: Collection[TopicPartition],
        *,
        in_flight: int,
        buffered_bytes: int,
        breaker: BreakerState,
        unpublished: int,
        commits_unanswered: int,
    ) -> "Status":
        """Read the state of these assignments."""
        homes = list(assignments)
        # The first task of a partition is its first incomplete offset: dicts keep the order of insertion.
        heads = [next(iter(a.tasks.values())) for a in homes if a.tasks]
        return cls(
            in_flight=in_flight,
            buffered=sum(len(a.tasks) for a in homes),
            buffered_bytes=buffered_bytes,
            paused=frozenset(paused),
            positions={a.tp: a.tracker.position for a in homes if a.tracker.position is not None},
            window_used={a.tp: a.tracker.tracked for a in homes},
            open={a.tp: a.tracker.open for a in homes if a.tracker.position is not None},
            oldest_ms=min((task.origin.timestamp_ms for task in heads), default=None),
            oldest_new_ms=min(
                (task.record.timestamp_ms for task in heads if task.record.retried is None), default=None
            ),
            breaker=breaker,
            unpublished=unpublished,
            commits_unanswered=commits_unanswered,
        )
