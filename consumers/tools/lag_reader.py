"""Reads how far a group is, without being in it: commits through the admin client, times from the topics themselves."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self, TypeVar

from kafka import TopicPartition as KafkaPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    KafkaConnectionError,
    KafkaError,
    NotCoordinatorError,
)

from consumers.records import TopicPartition
from consumers.settings import ConsumerSettings
from consumers.tools.lag import Reading, Row, done_of, row_of
from consumers.tools.log_reader import LogReader, Span

Value = TypeVar("Value")

#: A coordinator that has just started, or moves, does not answer for a while.
_PATIENCE_S = 15.0
_MOVING = (CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorError, KafkaConnectionError)
_AGAIN_S = 0.3
#: What is too slow to be read is not known this time.
_AGES_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A worker of the group."""

    name: str
    host: str
    partitions: tuple[TopicPartition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupState:
    """A group at one moment."""

    #: As Kafka calls it: `Stable`, `Empty`, ...; None where the broker does not tell.
    state: str | None
    members: tuple[Member, ...]
    rows: tuple[Row, ...]
    dead_letters: int
    #: Topics of the settings that there are not.
    missing: tuple[str, ...]

    @property
    def exists(self) -> bool:
        """Whether there is such a group, as far as the broker tells: it has members, or has left commits."""
        return self.state != "Dead" or any(row.committed is not None for row in self.rows)


class GroupReader:
    """Reads the state of a group, again and again. For one thread."""

    def __init__(self, settings: ConsumerSettings) -> None:
        self._settings = settings
        self._admin = KafkaAdminClient(**settings.client())
        self._reader = LogReader(settings)
        # It hangs up when it is asked for groups. No other broker needs to be told its version.
        self._embedded = settings.api_version is not None
        #: Per partition the offset that was read last, and its time: an event that waits is read once.
        self._times: dict[TopicPartition, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.__exit__(kind, error, trace)
        self._admin.close()

    def groups(self) -> list[str]:
        """The names of all groups."""
        if self._embedded:
            return []
        with suppress(KafkaError):
            return sorted(group["group_id"] for group in _patiently(self._admin.list_groups))
        return []

    def read(self) -> GroupState:
        """The group as it is now; `KafkaError` where the brokers do not say."""
        settings = self._settings
        state, members = self._members()
        wanted = dict.fromkeys((*settings.topics, *settings.retry_topics))
        layout = self._reader.layout((*wanted, settings.dead_topic))
        there = [tp for topic in wanted for tp in layout[topic]]
        commits = self._commits(there)
        # A group may have read other topics before.
        left = self._reader.layout({tp.topic for tp in commits} - wanted.keys())
        others = [tp for topic in sorted(left) for tp in left[topic] if tp in commits]
        holder = {tp: member.name for member in members for tp in member.partitions}
        bounds = self._reader.bounds([*there, *others])
        readings = [
            Reading(tp=tp, held=held, committed=offset, metadata=metadata, member=holder.get(tp))
            for tp, held in bounds.items()
            for offset, metadata in (commits.get(tp, (None, "")),)
        ]
        dead = self._reader.bounds(layout[settings.dead_topic])
        return GroupState(
            state=state,
            members=members,
            rows=tuple(self._with_ages(readings)),
            dead_letters=sum(span.size for span in dead.values()),
            missing=tuple(topic for topic in wanted if not layout[topic]),
        )

    def _members(self) -> tuple[str | None, tuple[Member, ...]]:
        if self._embedded:
            return None, ()
        told = _patiently(lambda: self._admin.describe_groups([self._settings.group]))[self._settings.group]
        return told["group_state"], tuple(_member(member) for member in told["members"])

    def _commits(self, there: list[TopicPartition]) -> dict[TopicPartition, tuple[int | None, str]]:
        group = self._settings.group
        try:
            found = _patiently(lambda: self._admin.list_group_offsets(group))
        except (KafkaError, TypeError):
            # Not every broker gives all commits of a group unasked; for some answers the client raises TypeError.
            asked = {group: [KafkaPartition(*tp) for tp in there]}
            found = _patiently(lambda: self._admin.list_group_offsets(asked)) if there else {}
        return {
            TopicPartition(*tp): (commit.offset, commit.metadata or "")
            for tp, commit in found.get(group, {}).items()
            if commit.offset >= 0
        }

    def _with_ages(self, readings: list[Reading]) -> list[Row]:
        earliest = self._settings.offset_reset == "earliest"
        rows = [row_of(reading, from_earliest=earliest) for reading in readings]
        unknown = {
            row.tp: reading
            for row, reading in zip(rows, readings, strict=True)
            if row.oldest is not None and self._times.get(row.tp, (None, 0))[0] != row.oldest
        }
        self._look_up({row.tp: row for row in rows if row.tp in unknown}, unknown)
        now_ms = time.time() * 1000
        return [self._aged(row, now_ms) for row in rows]

    def _look_up(self, rows: Mapping[TopicPartition, Row], readings: Mapping[TopicPartition, Reading]) -> None:
        """Read the record at each oldest offset, or the first one after it that is there and not done."""
        spans = {tp: Span(row.oldest, row.end) for tp, row in rows.items() if row.oldest is not None}
        done = {tp: done_of(reading) for tp, reading in readings.items()}
        until = time.monotonic() + _AGES_S
        open_ = set(spans)
        self._reader.start(spans)
        while open_ and not self._reader.done and time.monotonic() < until:
            for record in self._reader.poll():
                if record.tp in open_ and record.offset not in done[record.tp]:
                    open_.discard(record.tp)
                    self._times[record.tp] = (spans[record.tp].start, record.timestamp_ms)
            self._reader.leave(set(spans) - open_)

    def _aged(self, row: Row, now_ms: float) -> Row:
        offset, time_ms = self._times.get(row.tp, (None, 0))
        if row.oldest is None or offset != row.oldest:
            return row
        return replace(row, age_s=max(0.0, (now_ms - time_ms) / 1000))


def _patiently(ask: Callable[[], Value]) -> Value:
    """The answer, also of a coordinator that needs a moment."""
    until = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return ask()
        except _MOVING:
            if time.monotonic() > until:
                raise
        time.sleep(_AGAIN_S)


def _member(told: Mapping[str, Any]) -> Member:
    assignment = told["member_assignment"]
    given = assignment["assigned_partitions"] if isinstance(assignment, Mapping) else ()
    return Member(
        name=told.get("group_instance_id") or told["member_id"],
        host=told["client_host"].lstrip("/"),
        partitions=tuple(TopicPartition(one["topic"], number) for one in given for number in one["partitions"]),
    )
