"""What the group gives and takes. The client (kafka-python 3.0) calls this on its IO thread, while the poll thread
waits inside `poll` or `close` until it returns. So the engine, called from both, is never called by two at a time.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener

from consumers.records import TopicPartition
from consumers.shell.consumer import own
from consumers.shell.lease import LeaseLost

log = logging.getLogger(__name__)


class Listener(AsyncConsumerRebalanceListener):  # type: ignore[misc]
    """Hands the group's changes on, unless the client was replaced: then what it says means nothing any more."""

    def __init__(
        self,
        *,
        assigned: Callable[[list[TopicPartition]], None],
        revoked: Callable[[list[TopicPartition]], Awaitable[None]],
        lost: Callable[[list[TopicPartition]], None],
    ) -> None:
        self._assigned = assigned
        self._revoked = revoked
        self._lost = lost

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Partitions came."""
        tps = own(assigned)
        log.info("assigned %d partitions", len(tps), extra={"action": "assigned", "partitions": _names(tps)})
        self._assigned(tps)

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Partitions go; what is done can still be committed."""
        tps = own(revoked)
        log.info("revoked %d partitions", len(tps), extra={"action": "revoked", "partitions": _names(tps)})
        try:
            await self._revoked(tps)
        except LeaseLost:
            log.info("revoked from a client that was replaced")

    async def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        """Partitions are gone already."""
        tps = own(lost)
        log.warning("lost %d partitions", len(tps), extra={"action": "lost", "partitions": _names(tps)})
        try:
            self._lost(tps)
        except LeaseLost:
            log.info("lost by a client that was replaced")


def _names(tps: Iterable[TopicPartition]) -> list[str]:
    return [f"{tp.topic}-{tp.partition}" for tp in tps]
