"""What the workers tell those who scale Serve, and what they do while Serve has no replica."""

from types import SimpleNamespace

import pytest

from consumers.core import actions, signals
from consumers.core.breaker import BreakerState
from consumers.core.retry import RetryLater, RetryNow
from consumers.core.status import Status
from consumers.records import Retried, TopicPartition
from consumers.shell.ends import End, Ends
from consumers.shell.metrics import Metrics
from serve.schemas.outcome import RetryClass
from serve.schemas.result import ErrorInfo
from tests.support.engine_driver import TP, Driver
from tests.support.fake_kafka.broker import FakeBroker
from tests.support.listing_events import source_record, structured_bytes

RETRY_TP = TopicPartition("listings.retry.30s", 0)
ERROR = ErrorInfo(code="code", retry=RetryClass.DELAYED, message="m")
RECORD = source_record(TP, 0, structured_bytes("e"))


def status(**open_: int) -> Status:
    found = {TP: open_["event"]} if "event" in open_ else {}
    found |= {RETRY_TP: open_["retry"]} if "retry" in open_ else {}
    return Status(
        in_flight=0,
        buffered=0,
        buffered_bytes=0,
        paused=frozenset(),
        positions={},
        window_used={},
        open=found,
        oldest_ms=None,
        oldest_new_ms=None,
        breaker=BreakerState.CLOSED,
        unpublished=0,
        commits_unanswered=0,
    )


class Page:
    """The metrics of a worker, as somebody reads them."""

    def __init__(self) -> None:
        self.metrics = Metrics(retry_topics=[RETRY_TP.topic])
        self.show = self.metrics.show
        self.saw = self.metrics.saw

    def __call__(self, name: str, tp: TopicPartition | None = None) -> float | None:
        labels = {} if tp is None else {"topic": tp.topic, "partition": str(tp.partition)}
        return self.metrics.registry.get_sample_value(f"vitrine_consumer_{name}", labels)


@pytest.fixture
def page() -> Page:
    return Page()


def test_the_backlog_is_what_is_open_and_what_is_not_fetched(page: Page) -> None:
    page.show(status(event=3), {TP: End(100, 90)})
    assert page("backlog", TP) == 93


def test_what_a_retry_topic_keeps_is_no_demand_before_it_is_due(page: Page) -> None:
    page.show(status(retry=2), {RETRY_TP: End(5000, 4998)})
    assert page("backlog", RETRY_TP) == 2
    page.show(status(retry=2), {RETRY_TP: End(6000, 5998)})
    assert page("arrivals_total") == 0


def test_a_partition_of_which_nothing_is_known_is_not_told_as_empty(page: Page) -> None:
    page.show(status(event=0), {})
    assert page("backlog", TP) is None


def test_a_partition_that_went_elsewhere_is_told_no_more(page: Page) -> None:
    page.show(status(event=1), {TP: End(100, 10)})
    page.show(status(), {})
    assert page("backlog", TP) is None
    assert page("looks_total") == 2


def test_arrivals_are_the_growth_of_the_ends_while_a_partition_is_here(page: Page) -> None:
    for end in (100, 130, 130):
        page.show(status(event=0), {TP: End(end, 0)})
    assert page("arrivals_total") == 30
    page.show(status(), {})
    page.show(status(event=0), {TP: End(500, 0)})
    assert page("arrivals_total") == 30
    page.show(status(event=0), {TP: End(2, 0)})
    page.show(status(event=0), {TP: End(5, 0)})
    assert page("arrivals_total") == 33


def test_served_is_what_serve_worked_on(page: Page) -> None:
    page.saw(actions.Finished(RECORD, "e", "enriched", None, 1))
    page.saw(actions.Finished(RECORD, "e", None, "worker_lost", 3))
    page.saw(actions.Retried("e", ERROR, RetryLater(30.0, 0)))
    assert page("served_total") == 3
    page.saw(actions.Finished(RECORD, "e", "superseded", None, 1))
    page.saw(actions.Finished(RECORD, None, None, "invalid_json", 1))
    page.saw(actions.Retried("e", ERROR, RetryNow(1.0)))
    assert page("served_total") == 3


def test_an_event_from_a_retry_topic_has_no_age() -> None:
    driver = Driver()
    driver.tell(signals.Assigned(RETRY_TP, 0))
    retried = Retried(RECORD, transient=0, delayed=1, broken=0, first_failed_at=0.0, due_at=0.0)
    record = source_record(RETRY_TP, 0, structured_bytes("e"))._replace(retried=retried, timestamp_ms=5)
    driver.tell(signals.Received([record]))
    assert driver.engine.status().open == {TP: 0, RETRY_TP: 1}
    assert driver.engine.status().oldest_new_ms is None
    driver.receive("a")
    assert driver.engine.status().oldest_new_ms == driver.engine.status().oldest_ms


def test_without_a_replica_nothing_is_sent_and_nothing_is_lost() -> None:
    driver = Driver(offset=0)
    driver.tell(signals.CapacityChanged(0, 32))
    assert driver.receive("a", "b") == []
    for _ in range(20):
        driver.tell(after=100.0)
        assert driver.sent() == []
    assert (driver.engine.status().open[TP], driver.engine.status().in_flight) == (2, 0)
    driver.tell(signals.CapacityChanged(8, 32))
    assert [item.event_id for item in driver.sent()] == ["e0", "e1"]


def test_without_a_replica_an_outage_is_not_probed() -> None:
    driver = Driver()
    driver.receive("a")
    for number in range(5):
        request = driver.got(actions.Send)[0].request_id
        driver.tell(signals.StreamBroken(request, signals.Break.REFUSED, "503"))
        if number < 4:
            driver.tell(after=30.0)
    driver.tell(signals.CapacityChanged(0, 32))
    driver.tell(after=100.0)
    assert driver.sent() == []
    driver.tell(signals.CapacityChanged(8, 32))
    assert len(driver.sent()) == 1


class Reader:
    """A consumer of one partition, and what it knows of the end."""

    def __init__(self) -> None:
        self.broker = FakeBroker()
        self.broker.create_topic(TP.topic, 1)
        self.consumer = self.broker.consumer(group_id=None, auto_offset_reset="earliest")
        self.consumer.assign([TP])
        self.ends = Ends(self.consumer, lambda: self.broker.now)

    def write(self, count: int) -> None:
        for _ in range(count):
            self.broker.log(TP).append(self.broker.now_ms, None, b"{}")


@pytest.fixture
def reader() -> Reader:
    return Reader()


def test_what_was_fetched_is_read(reader: Reader) -> None:
    assert reader.ends.look() == {}
    reader.write(5)
    reader.consumer.poll(max_records=3)
    assert reader.ends.look() == {TP: End(5, 2)}


def test_the_growth_of_a_paused_partition_is_noticed(reader: Reader) -> None:
    reader.write(5)
    reader.consumer.poll(max_records=3)
    reader.consumer.pause(TP)
    reader.write(1000)
    for _ in range(2):
        reader.broker.advance(10.0)
        found = reader.ends.look()
    assert found == {TP: End(1005, 1002)}
    reader.consumer.resume(TP)
    reader.consumer.poll(max_records=2)
    assert reader.ends.look() == {TP: End(1005, 1000)}


def test_where_it_is_not_known_where_to_go_on_nothing_is_told(reader: Reader) -> None:
    reader.write(5)
    reader.consumer.poll()
    assert reader.ends.look([TP]) == {}


def test_a_question_that_fails_or_is_never_answered_is_asked_again(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    answer = SimpleNamespace(is_done=True, exception=OSError("away"), value=None)

    def ask(*_: object) -> SimpleNamespace:
        asked.append(reader.broker.now)
        return answer

    monkeypatch.setattr("consumers.shell.kafka_internals.ask_for_ends", ask)
    reader.consumer.pause(TP)
    start = reader.broker.now
    for _ in range(11):
        reader.ends.look()
        reader.broker.advance(1.0)
    assert [at - start for at in asked] == [0, 5, 10]
    answer.is_done = False
    for _ in range(100):
        reader.ends.look()
        reader.broker.advance(1.0)
    assert [at - start for at in asked[3:]] == [70]
