"""How far the partitions reach: what is in Kafka and was not fetched yet.

The client hears of an end with what it fetches. Of a paused partition it hears nothing, and that is when a backlog
grows: so for those the brokers are asked now and then. Nothing here waits for an answer.
"""

import logging
import time
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from kafka import KafkaConsumer
from kafka import TopicPartition as KafkaPartition

from consumers.records import TopicPartition
from consumers.shell import kafka_internals

log = logging.getLogger(__name__)

_ASK_EVERY_S = 5.0
#: An answer that has not come in this time never will.
_GIVE_UP_S = 60.0


class End(NamedTuple):
    """The end of one partition."""

    #: The offset that the next record gets.
    offset: int
    #: Offsets up to there that are not fetched.
    unread: int


class Ends:
    """The ends of one client's partitions, as far as they are known."""

    def __init__(self, consumer: KafkaConsumer, clock: Callable[[], float] = time.monotonic) -> None:
        self._consumer = consumer
        self._clock = clock
        self._told: dict[TopicPartition, int] = {}
        self._asked: Any = None
        self._asked_at = float("-inf")

    def look(self, unread: Collection[TopicPartition] = ()) -> dict[TopicPartition, End]:
        """The ends known now; `unread` are partitions of which it is not known where they go on."""
        paused = self._consumer.paused()
        self._take()
        self._ask(paused)
        found = {}
        for partition in self._consumer.assignment():
            tp = TopicPartition(*partition)
            heard, told = self._consumer.highwater(partition), self._told.get(tp)
            end = told if heard is None or (partition in paused and told is not None) else heard
            at = kafka_internals.next_offset(self._consumer, partition)
            if end is not None and at is not None and tp not in unread:
                found[tp] = End(end, max(0, end - at))
        return found

    def _take(self) -> None:
        if self._asked is None or not self._asked.is_done:
            return
        answer, self._asked = self._asked, None
        if answer.exception is not None:
            log.debug("ends of paused partitions are not known: %r", answer.exception)
            return
        offsets, _ = answer.value
        self._told = {TopicPartition(*partition): found.offset for partition, found in offsets.items()}

    def _ask(self, paused: Collection[KafkaPartition]) -> None:
        now = self._clock()
        if now - self._asked_at < (_ASK_EVERY_S if self._asked is None else _GIVE_UP_S):
            return
        self._told = {tp: end for tp, end in self._told.items() if tp in paused}
        self._asked_at = now
        self._asked = kafka_internals.ask_for_ends(self._consumer, paused) if paused else None
