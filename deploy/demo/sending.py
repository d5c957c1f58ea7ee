"""Events to Kafka."""

from types import TracebackType
from typing import Any, Protocol, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError

from consumers.records import Message
from consumers.settings import ConsumerSettings
from deploy.errors import ServiceFailed
from serve.schemas.result import Position

_TIMEOUT_S = 30


class Receipt(Protocol):
    """Tells where a message came to lie."""

    def position(self) -> Position:
        """Wait for the broker; `ServiceFailed` if it does not take the message."""
        ...


class EventSender:
    """Sends messages to one topic; every acknowledged message is with all replicas."""

    def __init__(self, settings: ConsumerSettings, topic: str) -> None:
        self._topic = topic
        try:
            self._producer = KafkaProducer(
                **settings.client(), acks="all", enable_idempotence=True, linger_ms=5, max_block_ms=_TIMEOUT_S * 1000
            )
        except KafkaError as error:
            raise ServiceFailed(f"Kafka at {settings.bootstrap} does not answer: {error}") from error

    def send(self, message: Message) -> Receipt:
        """Hand the message over; the receipt waits for the broker."""
        try:
            future = self._producer.send(
                self._topic, key=message.key, value=message.value, headers=list(message.headers)
            )
        except KafkaError as error:
            raise ServiceFailed(f"the event was not taken: {error}") from error
        return _Receipt(future)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.close(timeout=_TIMEOUT_S if kind is None else 0)


class _Receipt:
    def __init__(self, future: Any) -> None:
        self._future = future

    def position(self) -> Position:
        try:
            found = self._future.get(timeout=_TIMEOUT_S)
        except KafkaError as error:
            raise ServiceFailed(f"the event was not taken: {error}") from error
        return Position(topic=found.topic, partition=found.partition, offset=found.offset)
