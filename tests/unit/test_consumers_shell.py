"""The thin parts around the engine: dead letters, reader, settings, metrics, logs, and the client over real HTTP."""

import hashlib
import json
import logging
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError, UnknownProducerIdError
from kafka.future import Future
from pydantic import ValidationError

from consumers.core import actions, signals
from consumers.core.breaker import BreakerState
from consumers.core.codes import FailureCode
from consumers.core.retry import RetryNow, Tries
from consumers.core.status import Status
from consumers.core.tracker import Snapshot
from consumers.dead_letters import dead_letter
from consumers.events import BadCode, BadEvent, parse
from consumers.reader import Visible
from consumers.records import SourceRecord, TopicPartition
from consumers.results import UNCHANGED, ResultEvent, parse_result, shortened
from consumers.settings import ConsumerSettings
from consumers.shell.client import ServeClient
from consumers.shell.ends import End
from consumers.shell.inbox import Inbox
from consumers.shell.logs import configure
from consumers.shell.logs import saw as log_action
from consumers.shell.metrics import Metrics
from consumers.shell.notices import (
    ClientReplaced,
    CommitRefused,
    LogMadeAnew,
    OffsetMissing,
    PollFailed,
    StartedOver,
    TopicChanged,
    TransactionEnded,
)
from consumers.shell.outgoing import Writer
from consumers.shell.producer import ResultProducer
from serve.schemas.clock import clock_name
from serve.schemas.outcome import Outcome, RetryClass, Verdict
from serve.schemas.result import ErrorInfo, ImageError, ListingResult, Quality, RuleResult
from tests.support.examples import RESULT
from tests.support.fake_serve import FakeServe
from tests.support.listing_events import structured_bytes

TP = TopicPartition("listings.new", 3)
ERROR = ErrorInfo(code="corrupt_image", retry=RetryClass.PERMANENT, message="naïve", detail={"stage": "decode"})


def dead(record: SourceRecord) -> actions.PublishDead:
    return actions.PublishDead(1, record, parse(record), ERROR, 2, 100.0, 160.0)


def test_a_dead_letter_keeps_the_bytes_and_says_why():
    headers = (("x", b"\xff"), ("empty", None), ("vitrine-event-id", b"forged"))
    record = SourceRecord(TP, 9, b"\x00key", structured_bytes("e-1", traceparent="00-a-b-01"), headers, 1234)
    message = dead_letter(dead(record), 1_000_000.0, "0.1.0")
    assert (message.key, message.value) == (record.key, record.value)
    found = dict(message.headers)
    assert len(found) == len(message.headers)
    assert found.pop("x") == b"\xff"
    assert found.pop("empty") == b""
    assert len(found.pop("vitrine-dead-id")) == 32
    assert {name.removeprefix("vitrine-"): value.decode() for name, value in found.items()} == {
        "original-topic": "listings.new",
        "original-partition": "3",
        "original-offset": "9",
        "original-timestamp": "1234",
        "original-key": "\x00key",
        "original-null-headers": "empty",
        "event-id": "e-1",
        "attempts": "2",
        "first-failed-at": "1970-01-12T13:48:20.000+00:00",
        "last-failed-at": "1970-01-12T13:49:20.000+00:00",
        "error-code": "corrupt_image",
        "error-class": "permanent",
        "error-message": "naïve",
        "error-detail": '{"stage": "decode"}',
        "version": "0.1.0",
        "traceparent": "00-a-b-01",
    }


@given(
    st.none() | st.binary(max_size=50),
    st.none() | st.binary(max_size=50),
    st.lists(st.tuples(st.text(max_size=9), st.none() | st.binary(max_size=9))),
)
def test_any_record_can_become_a_dead_letter(key, value, headers):
    message = dead_letter(dead(SourceRecord(TP, 0, key, value, tuple(headers))), 0.0, "1")
    assert message.value == value
    assert message.key == key or (key is value is None and message.key == b"")
    assert all(isinstance(body, bytes) for _, body in message.headers)


def test_a_bare_dead_letter_says_what_it_lacks_and_where_it_stands():
    value = b"{" * 2_000_000
    record = SourceRecord(TP, 9, b"k" * 5000, value, (("x", b"y" * 1_000_000),), 1234)
    message = dead_letter(replace(dead(record), bare=True), 0.0, "1")
    assert sum(len(name) + len(body) for name, body in message.headers) < 32_768
    assert (message.key, message.value) == (None, b"")
    found = {name.removeprefix("vitrine-"): body for name, body in message.headers}
    assert found["original-size"] == b"2000000"
    assert found["original-sha256"] == hashlib.sha256(value).hexdigest().encode()
    assert found["truncated"] == b"original-key,value,headers"
    assert (found["original-topic"], found["original-offset"]) == (b"listings.new", b"9")
    assert found["original-key"] == b"k" * 4096


def test_a_header_that_is_cut_is_named():
    record = SourceRecord(TP, 9, b"k" * 4097, b"{", ())
    message = dead_letter(dead(record), 0.0, "1")
    assert (message.key, message.value) == (record.key, record.value)
    assert dict(message.headers)["vitrine-truncated"] == b"original-key"


def test_the_size_of_a_record_counts_all_that_is_kept():
    assert SourceRecord(TP, 9, b"12", b"345", (("e", b"67"), ("n", None))).size == 9


def test_a_shortened_result_keeps_the_rules_that_failed():
    held = RuleResult(rule="fill", passed=True, required="x")
    missed = RuleResult(rule="sharp", passed=False, required="y")
    quality = Quality(verdict=Verdict.REVIEW, score=0.5, rules=[held, missed])
    whole = ListingResult.model_validate(RESULT)
    output = whole.outputs[0].model_copy(update={"quality": quality})
    stopped = ImageError(stage="quality_filter", code="c", retryable=False, message="m", quality=quality)
    unread = stopped.model_copy(update={"quality": None})
    whole = whole.model_copy(update={"outputs": [output], "errors": [stopped, unread]})
    short = shortened(whole)
    assert (short.shortened, whole.shortened) == (True, False)
    assert short.outputs[0].quality.rules == short.errors[0].quality.rules == [missed]
    assert short.errors[1] == unread
    assert short.outputs[0].key == output.key
    assert shortened(short) == short


def result(number: int, listing: str, revision: int, outcome: Outcome = Outcome.ENRICHED) -> ResultEvent:
    data = ListingResult(
        event_id="e",
        event_source="s",
        tenant_id="acme",
        listing_id=listing,
        revision=revision,
        outcome=outcome,
        finished_at=datetime(2026, 11, 21, tzinfo=UTC),
        vitrine_version="1",
    )
    return ResultEvent(specversion="1.0", id=str(number), source="s", type="t", causationid="e", data=data)


def test_repeats_are_not_visible_and_older_revisions_are_stale():
    visible = Visible()
    for event in (result(1, "a", 5), result(3, "a", 4, Outcome.STALE), result(4, "b", 1), result(5, "a", 6)):
        assert visible.show(event) is event
        assert visible.show(event) is None
    late = visible.show(result(6, "a", 5))
    assert (late.id, late.data.outcome, late.data.code, late.data.outputs) == ("6", Outcome.STALE, "overtaken", [])
    assert late.type == UNCHANGED


def test_the_reader_forgets_what_it_saw_longest_ago():
    visible = Visible(remembered=2)
    assert all(visible.show(result(number, str(number), 1)) for number in range(3))
    assert visible.show(result(0, "0", 1))
    assert not visible.show(result(2, "2", 1))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 4))))
def test_each_result_is_visible_once_and_the_revisions_that_state_images_never_fall(results):
    visible, seen, newest = Visible(), set(), {}
    for number, listing, revision in results:
        shown = visible.show(result(number, str(listing), revision))
        assert (shown is None) == (number in seen)
        if shown is not None and shown.data.outcome.carries_images:
            assert revision >= newest.get(listing, 0)
            newest[listing] = revision
        seen.add(number)


def test_settings_come_from_the_environment(monkeypatch):
    for name, value in {
        "TOPICS": "a, b,",
        "API_VERSION": "2.3",
        "SECURITY_PROTOCOL": "SASL_SSL",
        "SASL_MECHANISM": "SCRAM-SHA-512",
        "SASL_USERNAME": "u",
        "SASL_PASSWORD": "secret",
        "SSL_CAFILE": "/ca.pem",
        "BOOTSTRAP": "h1:1,h2:2",
    }.items():
        monkeypatch.setenv(f"VITRINE_CONSUMERS_{name}", value)
    settings = ConsumerSettings()
    assert settings.topics == ("a", "b")
    client = settings.client()
    assert client["bootstrap_servers"] == ["h1:1", "h2:2"]
    assert client["api_version"] == (2, 3)
    assert client["sasl_plain_password"] == "secret"
    assert client["ssl_cafile"] == "/ca.pem"
    assert "secret" not in repr(settings)


def test_an_empty_api_version_is_none(monkeypatch):
    monkeypatch.setenv("VITRINE_CONSUMERS_API_VERSION", "")
    settings = ConsumerSettings()
    assert "api_version" not in settings.client()
    assert settings.limits().window == 4096
    assert settings.policy().max_attempts == 3


@pytest.mark.parametrize("url", ["http://[::1", "serve:8000", "ftp://serve", "http://", ""])
def test_an_address_of_serve_that_cannot_be_used_is_refused_at_once(monkeypatch, url):
    monkeypatch.setenv("VITRINE_CONSUMERS_SERVE_URL", url)
    with pytest.raises(ValidationError, match="serve_url"):
        ConsumerSettings()


@pytest.mark.timeout(20)
def test_a_client_with_such_an_address_does_not_start():
    settings = ConsumerSettings().model_copy(update={"serve_url": "http://[::1"})
    with pytest.raises(httpx.InvalidURL):
        ServeClient(settings, Inbox())


def test_a_spoiled_producer_is_replaced_but_its_late_callbacks_replace_no_other(monkeypatch):
    made = []

    class Client:
        def __init__(self, **_: object) -> None:
            self.futures: list[Future] = []
            made.append(self)

        def send(self, *_: object, **__: object) -> Future:
            self.futures.append(Future())
            return self.futures[-1]

        def close(self, timeout: float) -> None:
            # As kafka-python: what is still held fails now.
            for future in self.futures:
                if not future.is_done:
                    future.failure(UnknownProducerIdError())

    monkeypatch.setattr("consumers.shell.producer.KafkaProducer", Client)
    inbox = Inbox()
    producer = ResultProducer(ConsumerSettings(), inbox)

    def send(count: int) -> None:
        for _ in range(count):
            producer._send(dead(RECORD))

    send(3)
    made[0].futures[0].failure(UnknownProducerIdError())
    send(1)
    assert len(made) == 2
    assert len(inbox.drain()) == 3
    made[0].futures.append(late := Future())
    late.add_errback(lambda error: producer._failed(1, made[0], error))
    late.failure(UnknownProducerIdError())
    send(2)
    assert len(made) == 2
    inbox.drain()
    for future in made[1].futures[:3]:
        future.failure(MessageSizeTooLargeError())
    assert [failed.permanent for failed in inbox.drain()] == [True, False, False]
    send(1)
    assert len(made) == 3
    refused = Future()
    refused.failure(MessageSizeTooLargeError())
    monkeypatch.setattr(Client, "send", lambda *_, **__: refused)
    inbox.drain()
    send(2)
    assert [failed.permanent for failed in inbox.drain()] == [True, True]
    assert len(made) == 3


RECORD = SourceRecord(TP, 9, None, b"v", (), 1234)


def test_each_end_of_an_event_has_its_topic_and_its_message():
    settings = ConsumerSettings()
    record = SourceRecord(TP, 9, b"k", structured_bytes("e-1"), (), 1234)
    event = parse(record)
    answer = ListingResult.model_validate(RESULT)
    writer = Writer(settings)
    written = [
        writer.message(outgoing)
        for outgoing in (
            actions.Publish(1, record, event, answer),
            actions.PublishDead(2, record, event, ERROR, 1, 0.0, 0.0),
            actions.PublishRetry(3, record, event, ERROR, Tries(0, 2, 0), 0.0, 1),
            actions.Supersede(4, record, event, 5),
        )
    ]
    assert [topic for topic, _ in written] == [
        "listings.enriched",
        "listings.dead",
        "listings.retry.5m",
        "listings.enriched",
    ]
    published, superseded = (parse_result(written[place][1].value) for place in (0, 3))
    # Both answer the event at the same position.
    assert published.id == superseded.id
    assert (published.data.outcome, superseded.data.outcome) == (answer.outcome, Outcome.SUPERSEDED)
    assert written[1][1].value == written[2][1].value == record.value


def test_what_ends_an_event_says_when_it_came_and_went_by_which_clock(monkeypatch):
    monkeypatch.setattr("consumers.shell.outgoing.time.time_ns", lambda: 1_800_000_000_000_000_007)
    record = SourceRecord(TP, 9, b"k", structured_bytes("e-1"), (("vitrine-moments", b"forged"),), received_ns=5)
    event = parse(record)
    ends = (
        actions.Publish(1, record, event, ListingResult.model_validate(RESULT)),
        actions.Supersede(2, record, event, 5),
        actions.PublishDead(3, record, event, ERROR, 1, 0.0, 0.0, bare=True),
        actions.PublishDead(4, record, event, ERROR, 1, 0.0, 0.0),
    )
    for outgoing in ends:
        headers = Writer(ConsumerSettings()).message(outgoing)[1].headers
        (told,) = (json.loads(body) for name, body in headers if name == "vitrine-moments")
        assert told == {"clock": clock_name() or "", "consumed_ns": 5, "published_ns": 1_800_000_000_000_000_007}
    waiting = actions.PublishRetry(5, record, event, ERROR, Tries(0, 1, 0), 0.0, 0)
    assert "vitrine-moments" not in dict(Writer(ConsumerSettings()).message(waiting)[1].headers)


def test_a_topic_that_cannot_be_reached_holds_up_no_other(monkeypatch):
    asked = []

    class Client:
        def __init__(self, **_: object) -> None:
            pass

        def send(self, topic: str, **_: object) -> Future:
            asked.append(topic)
            if topic == "listings.dead":
                raise KafkaTimeoutError("Failed to update metadata after 10.0 secs.")
            return Future().success(None)

    monkeypatch.setattr("consumers.shell.producer.KafkaProducer", Client)
    inbox = Inbox()
    producer = ResultProducer(ConsumerSettings(), inbox)
    record = SourceRecord(TP, 9, b"k", structured_bytes("e-1"), (), 1234)
    producer.start()
    for _ in range(3):
        producer.put(dead(RECORD))
    producer.put(actions.Publish(2, record, parse(record), ListingResult.model_validate(RESULT)))
    answers = told(inbox, 4, (signals.Published, signals.PublishFailed))
    assert [type(answer) for answer in answers] == [signals.PublishFailed] * 3 + [signals.Published]
    assert not any(answer.permanent for answer in answers[:3])
    assert asked == ["listings.dead", "listings.enriched"]


NOTICES = [
    PollFailed("GroupAuthorizationFailedError", "no"),
    CommitRefused("OffsetMetadataTooLargeError", "no"),
    OffsetMissing(TP, 4, 9),
    LogMadeAnew(TP),
    StartedOver(3),
    TopicChanged("listings.new", "missing", 0),
    TopicChanged("listings.new.low", "refused", 0),
    TransactionEnded("unknown", 4.0, 7, "DeadlinePassed"),
    ClientReplaced("the poll thread has not moved for 46 s"),
]


def test_each_trouble_is_a_metric_and_a_log_line(capsys):
    metrics = Metrics()
    before = logging.root.handlers[:]
    try:
        configure("INFO")
        for notice in NOTICES:
            metrics.saw(notice)
            log_action(notice)
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    finally:
        logging.root.handlers[:] = before
    assert [line["action"] for line in lines] == [
        "poll_failed",
        "commit_failed",
        "offset_missing",
        "log_made_anew",
        "started_over",
        "topic_missing",
        "topic_refused",
        "transaction_unknown",
        "client_replaced",
    ]
    where = {"topic": "listings.new", "partition": "3"}
    expected = [
        ("poll_failures_total", {"error": "GroupAuthorizationFailedError"}, 1),
        ("commit_failures_total", {"error": "OffsetMetadataTooLargeError"}, 1),
        ("offsets_missing_total", where, 2),
        ("partitions_started_over_total", {}, 3),
        ("topic_partitions", {"topic": "listings.new"}, 0),
        ("topic_partitions", {"topic": "listings.new.low"}, -1),
        ("transaction_seconds_count", {"result": "unknown"}, 1),
        ("client_replaced_total", {}, 1),
    ]
    for name, labels, value in expected:
        assert metrics.registry.get_sample_value(f"vitrine_consumer_{name}", labels) == value, name


def test_what_the_kafka_client_says_with_every_attempt_is_logged_once_in_a_while(capsys):
    before = logging.root.handlers[:]
    try:
        configure("INFO")
        for _ in range(5):
            logging.getLogger("kafka.cluster").error("Topic %s not found in cluster metadata", "a")
            logging.getLogger("consumers").warning("own lines always")
        logging.getLogger("kafka.cluster").error("Topic %s not found in cluster metadata", "b")
        lines = [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()]
    finally:
        logging.root.handlers[:] = before
    assert Counter(lines) == {
        "Topic a not found in cluster metadata": 1,
        "Topic b not found in cluster metadata": 1,
        "own lines always": 5,
    }


def test_metrics_count_what_the_engine_does():
    metrics = Metrics(window=100)
    metrics.saw(actions.Finished(RECORD, "e", "enriched", None, 1))
    metrics.saw(actions.Finished(RECORD, "e", None, "worker_lost", 3))
    metrics.saw(actions.Retried("e", ERROR, RetryNow(1.0)))
    metrics.saw(actions.WentBack(TP, 4, 9, 5))
    metrics.saw(actions.Commit(1, {TP: Snapshot(5, "abcd")}))
    status = Status(
        in_flight=2,
        buffered=3,
        buffered_bytes=40,
        paused=frozenset({TP}),
        positions={TP: 7},
        window_used={TP: 3},
        open={TP: 2},
        oldest_ms=int(time.time() * 1000) - 5000,
        oldest_new_ms=None,
        breaker=BreakerState.OPEN,
        unpublished=4,
        commits_unanswered=1,
    )
    metrics.show(status, {TP: End(10, 0)})
    labels = {"topic": "listings.new", "partition": "3"}
    diverted = ErrorInfo(code=FailureCode.HEAD_BLOCKED, retry=RetryClass.DELAYED, message="m")
    metrics.saw(actions.Retried("e", diverted, RetryNow(1.0)))
    expected = {
        ("heads_diverted_total",): 1,
        ("breaker",): 2,
        ("unpublished",): 4,
        ("commits_unanswered",): 1,
        ("outcomes_total", ("outcome", "enriched")): 1,
        ("dead_letters_total", ("code", "worker_lost")): 1,
        ("commits_total",): 1,
        ("in_flight",): 2,
        ("buffered",): 3,
        ("buffered_bytes",): 40,
        ("paused_partitions",): 1,
    }
    for (name, *pair), value in expected.items():
        assert metrics.registry.get_sample_value(f"vitrine_consumer_{name}", dict(pair)) == value
    assert metrics.registry.get_sample_value("vitrine_consumer_offset_lag", labels) == 3
    assert metrics.registry.get_sample_value("vitrine_consumer_records_passed_over_total", labels) == 5
    assert metrics.registry.get_sample_value("vitrine_consumer_window_used", labels) == 3
    assert metrics.registry.get_sample_value("vitrine_consumer_window_fill_ratio", labels) == 0.03
    age = metrics.registry.get_sample_value("vitrine_consumer_oldest_unfinished_seconds")
    assert 5 <= age < 60


def test_logs_are_json_with_event_and_outcome(capsys):
    before = logging.root.handlers[:]
    try:
        configure("INFO")
        log_action(actions.Finished(RECORD, "e-1", "enriched", None, 1))
        log_action(actions.Retried("e-2", ERROR, RetryNow(1.0)))
        log_action(actions.WentBack(TP, 4, 9, 5))
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    finally:
        logging.root.handlers[:] = before
    assert (lines[0]["event_id"], lines[0]["outcome"], lines[0]["offset"]) == ("e-1", "enriched", 9)
    assert (lines[2]["level"], lines[2]["action"], lines[2]["offset"]) == ("WARNING", "offsets_went_back", 4)
    assert (lines[1]["event_id"], lines[1]["code"], lines[1]["level"]) == ("e-2", "corrupt_image", "WARNING")


def item(ref: int, listing: str, attempt: int = 1) -> actions.Item:
    record = SourceRecord(TP, ref, None, structured_bytes(f"e{ref}", listing))
    return actions.Item(ref, parse(record), record, attempt, False)


def told(inbox: Inbox, count: int, kinds: type | tuple[type, ...]) -> list:
    found, deadline = [], time.monotonic() + 10
    while len(found) < count and time.monotonic() < deadline:
        found += [signal for signal in inbox.drain() if isinstance(signal, kinds)]
        time.sleep(0.01)
    return found


@pytest.fixture
def serve():
    with FakeServe() as serve:
        yield serve


@pytest.fixture
def client(serve):
    inbox = Inbox()
    client = ServeClient(ConsumerSettings(serve_url=serve.url, serve_idle_s=5), inbox)
    client.start()
    yield client, inbox
    client.stop(5)


END = (signals.Answered, signals.StreamEnded, signals.StreamBroken)


def test_lines_arrive_as_they_come(client):
    serve_client, inbox = client
    serve_client.send(actions.Send(7, [item(1, "slow-1"), item(2, "fine-2")]))
    opened, first, second, end = told(inbox, 4, (signals.StreamOpened, *END))
    assert opened == signals.StreamOpened(7)
    assert [first.line.ref, second.line.ref] == [2, 1]
    assert end == signals.StreamEnded(7)


def test_blank_lines_keep_a_slow_answer_alive(serve):
    inbox = Inbox()
    client = ServeClient(ConsumerSettings(serve_url=serve.url, serve_idle_s=0.5), inbox)
    client.start()
    serve.delay_s = 1.5
    for heartbeat_s, expected in ((0.1, [signals.Answered, signals.StreamEnded]), (None, [signals.StreamBroken])):
        serve.heartbeat_s = heartbeat_s
        client.send(actions.Send(1, [item(1, "fine-1")]))
        assert [type(signal) for signal in told(inbox, len(expected), END)] == expected
    client.stop(5)


def test_a_cut_stream_keeps_its_lines(client):
    serve_client, inbox = client
    serve_client.send(actions.Send(7, [item(1, "fine-1")]))
    assert len(told(inbox, 2, END)) == 2
    serve_client.send(actions.Send(8, [item(2, "poison-1")]))
    (broken,) = told(inbox, 1, END)
    assert (broken.request_id, broken.kind) == (8, signals.Break.BROKEN)


def test_no_room_is_told_from_a_wrong_request(serve, client):
    serve_client, inbox = client
    serve.busy = True
    serve_client.send(actions.Send(1, [item(1, "fine-1")]))
    (refused,) = told(inbox, 1, (signals.StreamOpened, *END))
    assert (refused.kind, refused.retry_after_s) == (signals.Break.REFUSED, 0.0)


def test_the_capacity_is_told_when_it_changes(serve, client):
    _, inbox = client
    assert told(inbox, 1, signals.CapacityChanged) == [signals.CapacityChanged(64, 32)]
    serve.capacity = 5
    assert told(inbox, 1, signals.CapacityChanged) == [signals.CapacityChanged(5, 32)]


def test_a_request_is_closed_when_all_its_items_are_cancelled(client):
    serve_client, inbox = client
    serve_client.send(actions.Send(1, [item(1, "slow-1"), item(2, "slow-2")]))
    serve_client.cancel(actions.CancelItems(1, (1,)))
    serve_client.cancel(actions.CancelItems(1, (2,)))
    time.sleep(0.5)
    assert [signal for signal in inbox.drain() if isinstance(signal, END)] == []


def test_nobody_there_is_a_refusal():
    inbox = Inbox()
    client = ServeClient(ConsumerSettings(serve_url="http://127.0.0.1:9"), inbox)
    client.start()
    client.send(actions.Send(1, [item(1, "fine-1")]))
    (refused,) = told(inbox, 1, END)
    client.stop(5)
    assert refused.kind is signals.Break.REFUSED


def test_a_bad_event_has_no_listing():
    assert isinstance(parse(RECORD), BadEvent)
    assert parse(RECORD).code is BadCode.INVALID_JSON


def test_the_room_needs_no_torch_ray_or_boto3():
    heavy = ("torch", "ray", "boto3", "models", "numpy")
    code = f"import sys, consumers.worker, consumers.reader; print(sys.modules.keys() & {set(heavy)})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
