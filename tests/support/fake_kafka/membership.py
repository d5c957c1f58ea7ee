"""A consumer's side of its group: joining in two steps, heartbeats, the listener."""

from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kafka import TopicPartition
from kafka.errors import (
    CommitFailedError,
    FencedInstanceIdError,
    IllegalGenerationError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from kafka.structs import ConsumerGroupMetadata, MemberState

if TYPE_CHECKING:
    from tests.support.fake_kafka.consumer import FakeConsumer


def drive(call: Any) -> None:
    """Run a listener's coroutine to its end; a plain listener has run already."""
    if not isinstance(call, Coroutine):
        return
    try:
        call.send(None)
    except StopIteration:
        return
    raise AssertionError("the listener waits for something that the fake does not know")


class Membership:
    """What the client's coordinator keeps."""

    def __init__(self, consumer: "FakeConsumer", group: str, instance_id: str | None, config: dict[str, Any]) -> None:
        self._consumer = consumer
        self._broker = consumer.broker
        self._group = group
        self._instance_id = instance_id
        self._session_s = config["session_timeout_ms"] / 1000
        self._max_poll_s = config["max_poll_interval_ms"] / 1000
        self._metadata_s = config["metadata_max_age_ms"] / 1000
        self.topics: tuple[str, ...] = ()
        self.listener: Any = None
        self._generation = -1
        self._member_id = ""
        self._state = MemberState.UNJOINED
        self._rejoin = True
        self._waiting = self._rejoining = False
        self._polled_at = self._broker.now
        self._known: dict[str, int | None] = {}
        self._refreshed_at = 0.0
        self._fenced = False

    # -- who am I --

    def metadata(self) -> ConsumerGroupMetadata:
        """As `KafkaConsumer.group_metadata`."""
        generation = self._generation
        if self._waiting and self._state is MemberState.REBALANCING and not self._consumer.frozen:
            # The IO thread takes the answer to the join as soon as it comes; the listener waits for `poll`.
            with suppress(UnknownMemberIdError):
                found = self._result()
                generation = generation if found is None else found[0]
        return ConsumerGroupMetadata(self._group, generation, self._member_id, self._instance_id, self._state)

    def for_commit(self) -> ConsumerGroupMetadata:
        """The identity that a commit carries; raise where the client knows that it would be in vain."""
        if not self.topics:
            return ConsumerGroupMetadata(self._group)
        if self._state is MemberState.REBALANCING:
            raise RebalanceInProgressError
        if self._state is MemberState.UNJOINED:
            raise CommitFailedError
        return self.metadata()

    def refused(self, error: Exception) -> Exception:
        """The broker refused a commit with this; what the caller hears."""
        if isinstance(error, UnknownMemberIdError | IllegalGenerationError):
            self._reset(keep_id=isinstance(error, IllegalGenerationError))
            return CommitFailedError(error)
        self._fenced = self._fenced or isinstance(error, FencedInstanceIdError)
        return error

    # -- as time passes --

    def beat(self) -> None:
        """What the IO thread does on its own."""
        now = self._broker.now
        if self._state is not MemberState.STABLE:
            return
        if now - self._polled_at > self._max_poll_s:
            self.leave()
            return
        try:
            self._broker.group(self._group).heartbeat(self.metadata(), now)
        except RebalanceInProgressError:
            self._rejoin = True
        except IllegalGenerationError:
            self._reset(keep_id=True)
        except UnknownMemberIdError:
            self._reset()
        except FencedInstanceIdError:
            self._fenced = True

    def poll(self) -> bool:
        """Be a member; False while others are waited for."""
        self._polled_at = self._broker.now
        if self._fenced:
            raise FencedInstanceIdError
        self._look_at_topics()
        if not self._rejoin:
            return True
        if not self._waiting:
            # Once per attempt; once more where the group forgot the member meanwhile (see `kafka_internals.mend`).
            if not self._rejoining and self._generation < 0:
                self._give_up_lost()
            self._rejoining = True
            self._rejoin_now()
        try:
            found = self._result()
        except UnknownMemberIdError:
            self._reset()
            return False
        if found is None:
            return False
        self._complete(*found)
        return True

    def rejoin(self) -> None:
        """Join once more with the next poll."""
        self._rejoin = True

    def leave(self) -> None:
        """Tell the coordinator; a static member does not."""
        if self._instance_id is None and self._state is not MemberState.UNJOINED:
            self._broker.group(self._group).leave(self._member_id, self._broker.now)
        self._reset()

    def close(self) -> None:
        """The last calls of the listener, then leave."""
        owned = self._consumer.assignment()
        failed = None
        if self.topics and owned:
            failed = self._tell("lost" if self._generation < 0 else "revoked", owned)
            self._consumer.take({})
        self.leave()
        if failed is not None:
            raise KafkaError("User rebalance callback throws an error") from failed

    # -- the steps of joining --

    def _give_up_lost(self) -> None:
        """Membership is lost: so is what was owned."""
        lost = self._consumer.assignment()
        if not lost:
            return
        failed = self._tell("lost", lost)
        self._consumer.take({})
        if failed is not None:
            raise KafkaError("User rebalance callback throws an error") from failed

    def _rejoin_now(self) -> None:
        # One connection keeps the order.
        while self._consumer.delayed_commits:
            self._consumer.release_commit()
        me = ConsumerGroupMetadata(self._group, self._generation, self._member_id, self._instance_id)
        timeouts = (self._session_s, self._max_poll_s)
        owned = self._consumer.assignment()
        group = self._broker.group(self._group)
        self._known = {topic: self._broker.count(topic) for topic in self.topics}
        try:
            self._member_id = group.join(me, self.topics, owned, timeouts, self._broker.now)
        except UnknownMemberIdError:
            self._reset()
            self._give_up_lost()
            me = ConsumerGroupMetadata(self._group, -1, "", self._instance_id)
            self._member_id = group.join(me, self.topics, (), timeouts, self._broker.now)
        self._state = MemberState.REBALANCING
        self._waiting = True

    def _result(self) -> tuple[int, frozenset[TopicPartition]] | None:
        return self._broker.group(self._group).result(self._member_id)

    def _complete(self, generation: int, assigned: frozenset[TopicPartition]) -> None:
        self._generation, self._state = generation, MemberState.STABLE
        self._waiting = self._rejoin = self._rejoining = False
        owned = self._consumer.assignment()
        self._consumer.take(dict.fromkeys(sorted(assigned)))
        revoked, added = owned - assigned, set(assigned) - owned
        failed = self._tell("revoked", revoked) if revoked else None
        failed = (self._tell("assigned", added) or failed) if added else failed
        self._rejoin = self._rejoin or bool(revoked)
        if failed is not None:
            raise KafkaError("User rebalance callback throws an error") from failed

    def _tell(self, what: str, tps: Iterable[TopicPartition]) -> Exception | None:
        if self.listener is None:
            return None
        try:
            drive(getattr(self.listener, f"on_partitions_{what}")(set(tps)))
        except Exception as error:  # noqa: BLE001 - as the client does
            return error
        return None

    def _look_at_topics(self) -> None:
        now, group = self._broker.now, self._broker.group(self._group)
        if group.leader != self._member_id or now - self._refreshed_at < self._metadata_s:
            return
        self._refreshed_at = now
        if any(self._broker.count(topic) != known for topic, known in self._known.items()):
            self._rejoin = True

    def _reset(self, *, keep_id: bool = False) -> None:
        self._generation, self._state, self._rejoin = -1, MemberState.UNJOINED, True
        self._waiting = self._rejoining = False
        if not keep_id:
            self._member_id = ""
