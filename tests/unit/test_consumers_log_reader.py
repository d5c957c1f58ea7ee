"""When a reader of the log gives up, and what it takes for the end of a span."""

from types import SimpleNamespace
from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError, NotLeaderForPartitionError, TopicAuthorizationFailedError

from consumers.records import TopicPartition
from consumers.settings import ConsumerSettings
from consumers.tools import log_reader
from consumers.tools.log_reader import LogReader, Span

TP = TopicPartition("new", 0)


class QuietConsumer:
    """A Kafka client that finds nothing, in the time that it is given; `step` moves its position all the same."""

    def __init__(self, clock: SimpleNamespace, **_: object) -> None:
        self.clock = clock
        self.step = 0
        self.error: Exception | None = None
        self._position = 0

    def assign(self, _: object) -> None: ...

    def resume(self, _: object) -> None: ...

    def pause(self, _: object) -> None: ...

    def seek(self, _: object, offset: int) -> None:
        self._position = offset

    def position(self, _: object) -> int:
        return self._position

    def poll(self, timeout_ms: int) -> dict[Any, Any]:
        self.clock.now += timeout_ms / 1000
        self._position += self.step
        if self.error is not None:
            raise self.error
        return {}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=0.0)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(log_reader, "time", clock)
    return clock


@pytest.fixture
def reader(clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> LogReader:
    monkeypatch.setattr(log_reader, "KafkaConsumer", lambda **options: QuietConsumer(clock, **options))
    reader = LogReader(ConsumerSettings())
    reader.start({TP: Span(0, 1000)})
    return reader


def quiet(reader: LogReader) -> QuietConsumer:
    consumer = reader._consumer
    assert isinstance(consumer, QuietConsumer)
    return consumer


def test_it_gives_up_after_looking_in_vain(reader: LogReader, clock: SimpleNamespace) -> None:
    with pytest.raises(KafkaTimeoutError, match="nothing came for 30 s"):
        list(reader.read({TP: Span(0, 1000)}))
    assert clock.now == pytest.approx(30, abs=1)


def test_whoever_reads_may_pause_as_long_as_they_like(reader: LogReader, clock: SimpleNamespace) -> None:
    for _ in range(100):
        clock.now += 600
        assert reader.poll(200) == []


def test_offsets_without_a_record_are_progress_up_to_the_end(reader: LogReader) -> None:
    quiet(reader).step = 3
    polls = 0
    while not reader.done:
        assert reader.poll(10_000) == []
        polls += 1
    assert polls == 334
    assert reader.poll() == []


def test_errors_that_pass_are_waited_for_and_others_are_not(reader: LogReader) -> None:
    quiet(reader).error = NotLeaderForPartitionError()
    assert reader.poll(200) == []
    quiet(reader).error = TopicAuthorizationFailedError()
    with pytest.raises(TopicAuthorizationFailedError):
        reader.poll(200)


def test_empty_spans_are_done_at_once(reader: LogReader) -> None:
    reader.start({TP: Span(5, 5), TopicPartition("new", 1): Span(9, 3)})
    assert reader.done
