"""What an event ends in, as the message to a topic; the same in both modes of delivery."""

import time
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from consumers.core.actions import Outgoing, Publish, PublishDead, PublishRetry, Supersede, position_of
from consumers.dead_letters import dead_letter
from consumers.headers import moments
from consumers.records import Message
from consumers.results import result_event, superseded
from consumers.retries import retry_record
from consumers.settings import ConsumerSettings

_MAX_BLOCK_S = 10.0
_LINGER_MS = 5


class Writer:
    """Turns what goes out into messages; knows the topics, the version, and how far the engine's clock is off."""

    def __init__(self, settings: ConsumerSettings) -> None:
        self._settings = settings
        self._version = version("vitrine")

    def message(self, outgoing: Outgoing) -> tuple[str, Message]:
        """Topic and message, to be handed to a producer at once: what ends an event says when it came and went."""
        topic, message = self._message(outgoing)
        if isinstance(outgoing, PublishRetry):
            return topic, message
        header = moments(outgoing.record, time.time_ns())
        return topic, message._replace(headers=(*message.headers, header))

    def _message(self, outgoing: Outgoing) -> tuple[str, Message]:
        settings = self._settings
        match outgoing:
            case Publish(record=record, event=event, result=result):
                return settings.results_topic, result_event(result, position_of(record), event)
            case PublishDead():
                return settings.dead_topic, dead_letter(outgoing, clock_offset_s(), self._version)
            case PublishRetry(tier=tier):
                return settings.retry_topics[tier], retry_record(outgoing, clock_offset_s(), self._version)
            case Supersede(record=record, event=event, by_revision=newer):
                result = superseded(event, newer, self._version, datetime.now(UTC))
                return settings.results_topic, result_event(result, position_of(record), event)


def clock_offset_s() -> float:
    """What makes seconds since 1970 of the engine's times."""
    return time.time() - time.monotonic()


def producer_options(settings: ConsumerSettings, within_s: float) -> dict[str, Any]:
    """Arguments of a producer that gives up on a message after `within_s`."""
    return {
        **settings.client(),
        "acks": "all",
        "enable_idempotence": True,
        # Any reader can gunzip, without a library of its own; a large result shrinks to a quarter or less.
        "compression_type": "gzip",
        "linger_ms": _LINGER_MS,
        "max_block_ms": int(min(_MAX_BLOCK_S, within_s) * 1000),
        "delivery_timeout_ms": int(within_s * 1000),
        "request_timeout_ms": int(min(_MAX_BLOCK_S, within_s * 0.9) * 1000),
        "max_request_size": settings.max_message_bytes,
    }
