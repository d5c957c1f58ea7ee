"""The process that sees results and dead letters: `python -m deploy.loadtest.sending.receiver SOCKET NAMESPACE`.

Where it begins to read is fixed before it says that it is ready, so it sees nothing of an earlier run.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from consumers.reader import Visible
from consumers.results import parse_result
from consumers.settings import ConsumerSettings
from consumers.shell import kafka_internals
from consumers.shell.access import AccessRefused, require_access
from deploy.loadtest.measuring.observations import Answer, Letter, Observation
from deploy.loadtest.sending.answers import is_ours, letter_seen, result_seen
from deploy.loadtest.sending.child import calm, connect, listen
from deploy.loadtest.sending.wire import Outbox

_POLL_MS = 100
#: The embedded Kafka lets a fetch wait that long even if a result comes meanwhile; the real one answers at once.
_FETCH_WAIT_MS = 25


class Receiver:
    """Reads until it is stopped."""

    def __init__(self, settings: ConsumerSettings, namespace: str, report: Callable[[Observation], None]) -> None:
        self._settings = settings
        self._namespace = namespace
        self._report = report
        self._visible = Visible()
        self._stop = threading.Event()

    def stop(self, _: Any = None) -> None:
        """Come to an end."""
        self._stop.set()

    def run(self, ready: Callable[[], None]) -> None:
        """Fix where to begin, then read."""
        kafka_internals.mend()
        consumer = KafkaConsumer(
            **self._settings.client(),
            group_id=None,
            enable_auto_commit=False,
            # A place that is gone would mean that results were deleted meanwhile: what is left must be read.
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=_FETCH_WAIT_MS,
        )
        try:
            self._begin(consumer)
            calm()
            ready()
            while not self._stop.is_set():
                batches = consumer.poll(timeout_ms=_POLL_MS)
                at_ns = time.monotonic_ns()
                for tp, records in batches.items():
                    self.see(records, at_ns, dead=tp.topic == self._settings.dead_topic)
        finally:
            consumer.close(autocommit=False)

    def _begin(self, consumer: KafkaConsumer) -> None:
        topics = (self._settings.results_topic, self._settings.dead_topic)
        places: list[TopicPartition] = []
        for topic in topics:
            partitions = consumer.partitions_for_topic(topic)
            if not partitions:
                raise KafkaError(f"there is no topic {topic}")
            places += [TopicPartition(topic, one) for one in sorted(partitions)]
        consumer.assign(places)
        for place, end in consumer.end_offsets(places).items():
            consumer.seek(place, end)

    def see(self, records: Iterable[Any], at_ns: int, *, dead: bool) -> None:
        """Report what these records of one partition say."""
        for record in records:
            seen = self._letter(record, at_ns) if dead else self._result(record, at_ns)
            if seen is not None:
                self._report(seen)

    def _letter(self, record: Any, at_ns: int) -> Letter | None:
        ours = not self._namespace or is_ours(self._namespace, record.headers)
        return letter_seen(record.headers, at_ns) if ours else None

    def _result(self, record: Any, at_ns: int) -> Answer | None:
        event = parse_result(record.value)
        if event is None or not event.data.event_id.startswith(self._namespace):
            return None
        return result_seen(event, record.headers, self._visible, at_ns)


def main(address: str, namespace: str) -> None:
    """Read until the parent says that it is enough."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    connection = connect(address)
    outbox = Outbox(connection)
    settings = ConsumerSettings()
    receiver = Receiver(settings, namespace, outbox.put)
    listen(connection, receiver.stop)
    outbox.start()

    def ready() -> None:
        outbox.ready = True

    try:
        require_access(settings)
        receiver.run(ready)
    except (KafkaError, AccessRefused) as error:
        sys.exit(f"results cannot be read: {error}")
    finally:
        outbox.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
