"""Reads back what the brokers hold, from the beginning to the end, once everything is quiet."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient

from consumers.reader import Visible
from consumers.results import parse_result
from consumers.settings import ConsumerSettings
from consumers.shell import kafka_internals
from deploy.errors import ServiceFailed
from deploy.loadtest.ledger.ledger import Ledger
from deploy.loadtest.ledger.objects import Progress
from deploy.loadtest.ledger.roster import Entry
from deploy.loadtest.measuring.observations import Place, Visibility
from deploy.loadtest.sending.answers import letter_seen, result_seen
from deploy.loadtest.workload.planned import NUMBER, Planned
from serve.schemas.result import ListingResult

_POLL_MS = 200
#: No record for so long before the end of a partition: something is wrong.
_PATIENCE_S = 60.0


class Census:
    """Readers of one run."""

    def __init__(self, settings: ConsumerSettings) -> None:
        self._settings = settings
        kafka_internals.mend()

    def enter(self, ledger: Ledger, planned: Mapping[int, Planned]) -> dict[str, ListingResult]:
        """Enter all events, results and dead letters; give the last visible result of each listing with images."""
        for topic in self._settings.topics:
            for record in self.records(topic):
                ledger.sent(sent_of(record, planned))
        visible, standing = Visible(remembered=1 << 40), dict[str, ListingResult]()
        for record in self.records(self._settings.results_topic):
            if (event := parse_result(record.value)) is not None:
                answer = result_seen(event, (), visible, 0)
                ledger.answer(answer)
                if answer.visibility is Visibility.SHOWN and answer.outcome.carries_images:
                    standing[answer.listing] = event.data
        for record in self.records(self._settings.dead_topic):
            ledger.letter(letter_seen(record.headers, 0))
        return standing

    def records(self, topic: str, starts: Mapping[int, int] | None = None) -> Iterator[Any]:
        """All records of a topic, committed ones only; from these offsets on by partition, else from the beginning."""
        with closing(self._consumer()) as consumer:
            places = [TopicPartition(topic, one) for one in sorted(consumer.partitions_for_topic(topic) or ())]
            consumer.assign(places)
            ends = consumer.end_offsets(places)
            begins = consumer.beginning_offsets(places)
            for place in places:
                consumer.seek(place, (starts or {}).get(place.partition, begins[place]))
            quiet_since = time.monotonic()
            while any(consumer.position(place) < ends[place] for place in places):
                for batch in consumer.poll(timeout_ms=_POLL_MS).values():
                    quiet_since = time.monotonic()
                    yield from batch
                if time.monotonic() - quiet_since > _PATIENCE_S:
                    raise ServiceFailed(f"{topic} cannot be read to its end: {ends}")

    def count(self, topic: str) -> int:
        """Records of a topic."""
        return sum(1 for _ in self.records(topic))

    def progress(self) -> list[Progress]:
        """How far the group has come in every partition that it reads."""
        settings = self._settings
        with closing(KafkaAdminClient(**settings.client())) as admin:
            committed = admin.list_group_offsets({settings.group: None})[settings.group]
        return [
            one
            for topic in (*settings.topics, *settings.retry_topics)
            for one in self._progress(
                topic, {tp.partition: at.offset for tp, at in committed.items() if tp.topic == topic}
            )
        ]

    def _progress(self, topic: str, committed: Mapping[int, int]) -> Iterator[Progress]:
        with closing(self._consumer()) as consumer:
            places = [TopicPartition(topic, one) for one in sorted(consumer.partitions_for_topic(topic) or ())]
            ends = consumer.end_offsets(places)
        behind = any(committed.get(place.partition, 0) < ends[place] for place in places)
        unread = [record.partition for record in self.records(topic, committed)] if behind else []
        for place in places:
            at = committed.get(place.partition)
            yield Progress(
                topic=topic,
                partition=place.partition,
                committed=at,
                end=ends[place],
                unread=unread.count(place.partition),
            )

    def _consumer(self) -> KafkaConsumer:
        return KafkaConsumer(
            **self._settings.client(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )


def sent_of(record: Any, planned: Mapping[int, Planned]) -> Entry:
    """The event in a record of an event topic."""
    number = next((int(raw) for name, raw in record.headers if name == NUMBER), 0)
    event = planned.get(number)
    if event is None:
        raise ServiceFailed(f"{record.topic}[{record.partition}]@{record.offset} is not of this run")
    return Entry(
        number=number,
        place=Place(record.topic, record.partition, record.offset),
        kind=event.kind.value,
        event_id=event.event_id,
        listing=event.listing,
        revision=event.revision,
        loose=event.loose,
    )
