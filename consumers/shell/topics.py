"""Notices when a topic comes, goes, may not be read, or gets more partitions: by what the client has learned anyway."""

import logging
from collections.abc import Callable, Iterable

from kafka import KafkaConsumer
from kafka.errors import KafkaError

from consumers.records import TopicPartition
from consumers.shell import kafka_internals
from consumers.shell.notices import TopicChanged

log = logging.getLogger(__name__)


def learn(consumer: KafkaConsumer, topics: Iterable[str]) -> list[TopicPartition]:
    """The partitions that there are. Before joining: a member that knows none gets none, and has to join again."""
    found = []
    try:
        for topic in topics:
            found += [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    except KafkaError as error:
        log.warning("topics not known yet: %r", error, extra={"action": "poll_failed"})
    return found


class TopicWatch:
    """Tells every change once."""

    def __init__(self, topics: Iterable[str], tell: Callable[[TopicChanged], None]) -> None:
        self._topics = tuple(topics)
        self._tell = tell
        self._last: dict[str, TopicChanged] = {}

    def look(self, consumer: KafkaConsumer) -> None:
        """Compare with what was last told; asks no broker."""
        known = kafka_internals.known_topics(consumer)
        if known is None:
            return
        partitions, refused = known
        for topic in self._topics:
            count = partitions.get(topic, 0)
            seen = TopicChanged(topic, "refused" if topic in refused else "present" if count else "missing", count)
            if self._last.get(topic) != seen:
                self._last[topic] = seen
                self._tell(seen)
