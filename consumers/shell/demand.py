"""What a platform must know to scale Serve: how much work waits, how fast it comes and how fast it is served.

Each partition is told by the worker that has it, each counter by the worker that counted; so a reader takes the newest
backlog per partition and adds up the growth of counters per worker. `serve/scaling` does so.
"""

import time
import uuid
from collections.abc import Collection, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from consumers.core.actions import Finished, Retried
from consumers.core.retry import RetryLater
from consumers.core.status import Status
from consumers.events import BadCode
from consumers.records import TopicPartition
from consumers.shell.ends import End
from consumers.shell.notices import News
from serve.schemas.outcome import Outcome

_NAME = "vitrine_consumer_{}"
_WHERE = ("topic", "partition")
#: Answers and dead letters that Serve did nothing for.
_FREE = frozenset((Outcome.SUPERSEDED.value, *BadCode))


class Demand:
    """The figures that scaling needs, in the worker's registry."""

    def __init__(self, registry: CollectorRegistry, retry_topics: Collection[str] = ()) -> None:
        self._retry_topics = frozenset(retry_topics)
        #: Partitions of event topics with the end that was last seen.
        self._seen: dict[TopicPartition, int] = {}
        self._shown: set[TopicPartition] = set()
        worker = Gauge(
            _NAME.format("worker"), "1, with a name that no other start of a worker has", ["worker"], registry=registry
        )
        worker.labels(uuid.uuid4().hex).set(1)
        self._looks = Counter(
            _NAME.format("looks"), "Looks at these figures: stands still with the worker", registry=registry
        )
        self._backlog = Gauge(_NAME.format("backlog"), "Events that are due and not done", _WHERE, registry=registry)
        self._arrived = Counter(
            _NAME.format("arrivals"), "Growth of the event topics; retry topics do not count", registry=registry
        )
        self._served = Counter(
            _NAME.format("served"), "Events that Serve brought to an end or failed", registry=registry
        )
        self._age = Gauge(
            _NAME.format("oldest_waiting_seconds"),
            "Age of the oldest event that is not done, retries left out",
            registry=registry,
        )

    def saw(self, news: News) -> None:
        """Count what Serve has done."""
        match news:
            case Finished(outcome=outcome, code=code):
                self._served.inc((outcome or code) not in _FREE)
            case Retried(decision=RetryLater()):
                self._served.inc()
            case _:
                pass

    def show(self, status: Status, ends: Mapping[TopicPartition, End]) -> None:
        """Show what waits. A partition of which nothing is known is not told, rather than as empty."""
        backlog = {
            tp: count for tp in status.open if (count := self._due(tp, status.open[tp], ends.get(tp))) is not None
        }
        for tp in self._shown.difference(backlog):
            self._backlog.remove(tp.topic, tp.partition)
        for tp, count in backlog.items():
            self._backlog.labels(tp.topic, tp.partition).set(count)
        self._shown = set(backlog)
        self._count_arrivals({tp: end.offset for tp, end in ends.items() if tp in status.open})
        oldest = status.oldest_new_ms
        self._age.set(0.0 if oldest is None else max(0.0, time.time() - oldest / 1000))
        self._looks.inc()

    def _due(self, tp: TopicPartition, open_: int, end: End | None) -> int | None:
        # What is not due yet is no demand, and of what lies unread in a retry topic nobody knows how much is due.
        if tp.topic in self._retry_topics:
            return open_
        return None if end is None else open_ + end.unread

    def _count_arrivals(self, ends: dict[TopicPartition, int]) -> None:
        ends = {tp: end for tp, end in ends.items() if tp.topic not in self._retry_topics}
        self._arrived.inc(sum(max(0, end - self._seen.get(tp, end)) for tp, end in ends.items()))
        self._seen = ends
