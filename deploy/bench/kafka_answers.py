"""Results for all events in a topic, at once and without any work: a stand-in for workers, Serve and store."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from kafka import KafkaConsumer, KafkaProducer

from consumers.events import ListingEvent, parse
from consumers.records import SourceRecord, TopicPartition
from consumers.results import result_event
from consumers.settings import ConsumerSettings
from consumers.shell import kafka_internals
from deploy.bench import listings
from deploy.bench.broker import PATIENCE_S, TOPIC
from serve.schemas.exchange import EnrichItem
from serve.schemas.outcome import Verdict
from serve.schemas.result import Output, Position, Quality, RuleResult


@contextmanager
def answering_all(settings: ConsumerSettings) -> Iterator[None]:
    """Results for all events from now on, from a thread."""
    kafka_internals.mend()
    stop, begun = Event(), Event()
    thread = Thread(target=_answer_all, args=(settings, begun, stop), name="answering", daemon=True)
    thread.start()
    begun.wait(PATIENCE_S)
    try:
        yield
    finally:
        stop.set()
        thread.join(PATIENCE_S)


def _answer_all(settings: ConsumerSettings, begun: Event, stop: Event) -> None:
    consumer = KafkaConsumer(TOPIC, **settings.client(), group_id=None, auto_offset_reset="earliest")
    producer = KafkaProducer(**settings.client(), linger_ms=5)
    begun.set()
    try:
        while not stop.is_set():
            for batch in consumer.poll(timeout_ms=100).values():
                for record in batch:
                    tp = TopicPartition(record.topic, record.partition)
                    event = parse(SourceRecord(tp, record.offset, record.key, record.value))
                    if isinstance(event, ListingEvent):
                        _answer(producer, settings.results_topic, event, record.partition, record.offset)
    finally:
        consumer.close(autocommit=False)
        producer.close(timeout=1)


def _answer(producer: KafkaProducer, topic: str, event: ListingEvent, partition: int, offset: int) -> None:
    position = Position(topic=TOPIC, partition=partition, offset=offset)
    item = EnrichItem(
        ref=0, event_id=event.id, event_source=event.source, type=event.type, position=position, listing=event.listing
    )
    result = listings.answer(item).result.model_copy(update={"outputs": _OUTPUTS})
    message = result_event(result, position, event)
    producer.send(topic, key=message.key, value=message.value, headers=list(message.headers))


def _outputs() -> Iterator[Output]:
    rules = [RuleResult(rule=f"rule-{one}", passed=True, measured=0.1, required="<= 1") for one in range(12)]
    for number in range(4):
        yield Output(
            image_id=f"image-{number}",
            source_image_id=f"photo-{number}",
            source_sha256="a" * 64,
            variant="white",
            operations=["cutout", "background", "shadow"],
            s3_uri=f"s3://bench/{number}.jpg",
            key=f"{number}.jpg",
            sha256="b" * 64,
            phash="c" * 16,
            width=1000,
            height=1000,
            format="jpeg",
            content_type="image/jpeg",
            bytes=200_000,
            seed=number,
            digital_source_type="algorithmicallyEnhanced",
            quality=Quality(verdict=Verdict.PUBLISH, score=1.0, rules=rules),
        )


#: What a listing of four photos gets.
_OUTPUTS = list(_outputs())
