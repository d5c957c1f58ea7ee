"""Events of which the producer does not know whether the broker took them: looked up in the log, by their header."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing

from kafka import KafkaConsumer, TopicPartition

from consumers.settings import ConsumerSettings
from consumers.shell import kafka_internals
from deploy.errors import ServiceFailed
from deploy.loadtest.measuring.observations import Place
from deploy.loadtest.workload.planned import NUMBER

_POLL_MS = 200
#: So many empty polls in a row before the end of a partition: the broker does not tell.
_PATIENCE = 150

Starts = Mapping[TopicPartition, int]


def ends_of(settings: ConsumerSettings, topics: Iterable[str]) -> dict[TopicPartition, int]:
    """Where the topics end now."""
    with closing(_reader(settings)) as reader:
        places = [TopicPartition(topic, one) for topic in topics for one in reader.partitions_for_topic(topic) or ()]
        return dict(reader.end_offsets(places))


def places_of(settings: ConsumerSettings, starts: Starts, wanted: Mapping[int, str]) -> Iterator[tuple[int, Place]]:
    """The numbers of the wanted events (with their ids) that stand in the log from these offsets on, and where.

    Raises:
        ServiceFailed: a topic cannot be read to its end.
    """
    with closing(_reader(settings)) as reader:
        reader.assign(list(starts))
        ends = reader.end_offsets(list(starts))
        for place, offset in starts.items():
            reader.seek(place, offset)
        empty = 0
        while any(reader.position(place) < ends[place] for place in starts):
            batches = reader.poll(timeout_ms=_POLL_MS)
            empty = 0 if batches else empty + 1
            if empty > _PATIENCE:
                raise ServiceFailed("the topics of events cannot be read to their ends")
            for record in (one for batch in batches.values() for one in batch):
                number = int(dict(record.headers).get(NUMBER, b"0"))
                # Another run beside ours numbers its events alike.
                if number in wanted and wanted[number].encode() in record.value:
                    yield number, Place(record.topic, record.partition, record.offset)


def _reader(settings: ConsumerSettings) -> KafkaConsumer:
    kafka_internals.mend()
    return KafkaConsumer(**settings.client(), group_id=None, enable_auto_commit=False, isolation_level="read_committed")
