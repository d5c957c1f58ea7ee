"""The group coordinator: members, generations, offsets. The classic protocol, as the client speaks it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from kafka import TopicPartition
from kafka.errors import (
    FencedInstanceIdError,
    IllegalGenerationError,
    OffsetMetadataTooLargeError,
    RebalanceInProgressError,
    UnknownMemberIdError,
    UnknownTopicOrPartitionError,
    UnstableOffsetCommitError,
)
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata

from tests.support.fake_kafka.assignor import assign

#: `offset.metadata.max.bytes` of the broker.
MAX_METADATA = 4096


@dataclass(slots=True)
class Member:
    """A member, as the coordinator knows it."""

    member_id: str
    instance_id: str | None
    topics: tuple[str, ...]
    owned: frozenset[TopicPartition]
    session_s: float
    rebalance_s: float
    heard_at: float
    #: Has asked to join the round that is being prepared.
    joined: bool = False
    #: What it got in the last round that was completed.
    assignment: frozenset[TopicPartition] = frozenset()


@dataclass(slots=True)
class _Stored:
    offset: OffsetAndMetadata
    #: Place in the order in which commits were written.
    written: int


@dataclass(slots=True)
class Group:
    """One consumer group. `partitions` gives the number of partitions of a topic, None where there is none."""

    name: str
    partitions: Callable[[str], int | None]
    generation: int = 0
    members: dict[str, Member] = field(default_factory=dict)
    leader: str | None = None
    offsets: dict[TopicPartition, _Stored] = field(default_factory=dict)
    #: Offsets of open transactions, by producer id.
    pending: dict[int, dict[TopicPartition, _Stored]] = field(default_factory=dict)
    #: Since when members are asked to join; None while the group is stable or empty.
    preparing_since: float | None = None
    _ids: int = 0
    _written: int = 0

    # -- membership --

    def join(
        self,
        me: ConsumerGroupMetadata,
        topics: Iterable[str],
        owned: Iterable[TopicPartition],
        timeouts: tuple[float, float],
        now: float,
    ) -> str:
        """Ask to be part of the next round; return the member id. `result` has the outcome."""
        wanted, has = tuple(sorted(topics)), frozenset(owned)
        if not me.member_id:
            return self._join_anew(me.group_instance_id, wanted, has, timeouts, now)
        member = self._member(me.member_id, me.group_instance_id)
        changed = (member.topics, member.owned) != (wanted, has)
        member.topics, member.owned, member.heard_at = wanted, has, now
        if self.preparing_since is None and (changed or member.member_id == self.leader):
            self._prepare(now)
        member.joined = True
        self._maybe_complete(now)
        return member.member_id

    def result(self, member_id: str) -> tuple[int, frozenset[TopicPartition]] | None:
        """Generation and partitions of a member that joined; None while others are waited for."""
        if member_id not in self.members:
            raise UnknownMemberIdError
        return None if self.preparing_since is not None else (self.generation, self.members[member_id].assignment)

    def heartbeat(self, me: ConsumerGroupMetadata, now: float) -> None:
        """Prolong the session; raise what the member must hear."""
        member = self._member(me.member_id, me.group_instance_id)
        if me.generation_id != self.generation:
            raise IllegalGenerationError
        member.heard_at = now
        if self.preparing_since is not None:
            raise RebalanceInProgressError

    def leave(self, member_id: str, now: float) -> None:
        """A member goes by itself."""
        self._remove([member_id], now)

    def expire(self, now: float) -> None:
        """Remove who was not heard for too long, or did not join a round in time."""
        silent = [m.member_id for m in self.members.values() if not m.joined and now - m.heard_at > m.session_s]
        self._remove(silent, now)
        since = self.preparing_since
        if since is not None and now - since > max(m.rebalance_s for m in self.members.values()):
            self._remove([m.member_id for m in self.members.values() if not m.joined], now)

    def topics_changed(self, now: float) -> None:
        """The leader found other partitions than it had assigned."""
        if self.members and self.preparing_since is None:
            self._prepare(now)

    def _join_anew(
        self,
        instance_id: str | None,
        topics: tuple[str, ...],
        owned: frozenset[TopicPartition],
        timeouts: tuple[float, float],
        now: float,
    ) -> str:
        self._ids += 1
        member = Member(f"{self.name}-{self._ids}", instance_id, topics, owned, *timeouts, heard_at=now)
        before = self._static(instance_id)
        if before is not None:
            # A static member that comes back takes the place of the old one, which is fenced; nothing moves.
            del self.members[before.member_id]
            member.assignment, member.joined = before.assignment, before.joined
            self.leader = member.member_id if self.leader == before.member_id else self.leader
            self.members[member.member_id] = member
            if self.preparing_since is None:
                return member.member_id
        self.members[member.member_id] = member
        if self.preparing_since is None:
            self._prepare(now)
        member.joined = True
        self._maybe_complete(now)
        return member.member_id

    def _prepare(self, now: float) -> None:
        self.preparing_since = now
        for member in self.members.values():
            member.joined = False

    def _maybe_complete(self, now: float) -> None:
        if self.preparing_since is None or not all(member.joined for member in self.members.values()):
            return
        self.preparing_since = None
        self.generation += 1
        if self.leader not in self.members:
            self.leader = next(iter(self.members), None)
        known = {name: self.partitions(name) or 0 for member in self.members.values() for name in member.topics}
        found = assign(
            {m.member_id: m.topics for m in self.members.values()},
            {m.member_id: m.owned for m in self.members.values()},
            known,
        )
        for member in self.members.values():
            member.assignment = frozenset(found[member.member_id])
            member.joined, member.heard_at = False, now

    def _remove(self, member_ids: Iterable[str], now: float) -> None:
        gone = [member_id for member_id in member_ids if self.members.pop(member_id, None)]
        if not gone:
            return
        if not self.members:
            self.preparing_since = None
            self.generation += 1
            return
        if self.preparing_since is None:
            self._prepare(now)
        self._maybe_complete(now)

    def _static(self, instance_id: str | None) -> Member | None:
        if instance_id is None:
            return None
        return next((m for m in self.members.values() if m.instance_id == instance_id), None)

    def _member(self, member_id: str, instance_id: str | None) -> Member:
        same = self._static(instance_id)
        if same is not None and same.member_id != member_id:
            raise FencedInstanceIdError
        if member_id not in self.members:
            raise UnknownMemberIdError
        return self.members[member_id]

    # -- offsets --

    def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], me: ConsumerGroupMetadata) -> None:
        """Store what can be stored; raise the first error. A request of a stale member stores nothing."""
        self._fence(me)
        self._store(offsets, self.offsets)

    def commit_in_transaction(
        self, producer: int, offsets: Mapping[TopicPartition, OffsetAndMetadata], me: ConsumerGroupMetadata
    ) -> None:
        """Keep offsets back until the transaction of this producer ends."""
        self._fence(me)
        self._store(offsets, self.pending.setdefault(producer, {}))

    def end_transaction(self, producer: int, *, commit: bool) -> None:
        """Store the offsets of a transaction, or forget them. A commit that was written later wins."""
        for tp, stored in self.pending.pop(producer, {}).items():
            before = self.offsets.get(tp)
            if commit and (before is None or before.written < stored.written):
                self.offsets[tp] = stored

    def fetch(self, tp: TopicPartition, *, stable: bool) -> OffsetAndMetadata | None:
        """The committed offset; `stable` refuses while a transaction holds one back."""
        if stable and any(tp in held for held in self.pending.values()):
            raise UnstableOffsetCommitError
        stored = self.offsets.get(tp)
        return None if stored is None else stored.offset

    def forget(self, topic: str) -> None:
        """The topic was deleted."""
        self.offsets = {tp: stored for tp, stored in self.offsets.items() if tp.topic != topic}

    def _fence(self, me: ConsumerGroupMetadata) -> None:
        if me.generation_id < 0 and not me.member_id:
            if self.members:
                raise UnknownMemberIdError
            return
        self._member(me.member_id, me.group_instance_id)
        if me.generation_id != self.generation:
            raise IllegalGenerationError

    def _store(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], where: dict[TopicPartition, _Stored]) -> None:
        error: Exception | None = None
        for tp, offset in offsets.items():
            if tp.partition >= (self.partitions(tp.topic) or 0):
                error = error or UnknownTopicOrPartitionError()
            elif len(offset.metadata) > MAX_METADATA:
                error = error or OffsetMetadataTooLargeError()
            else:
                self._written += 1
                where[tp] = _Stored(offset, self._written)
        if error is not None:
            raise error
