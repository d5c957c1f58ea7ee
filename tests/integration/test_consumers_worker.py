"""The worker as a process against a real Kafka, with a stand-in for Serve that misbehaves on purpose."""

import hashlib
import json
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from kafka.admin import KafkaAdminClient

from deploy.services.kafka_topics import ensure_topics
from serve.schemas.clock import clock_name
from tests.support.consumer_bench import Bench
from tests.support.fake_serve import FakeServe
from tests.support.listing_events import structured_bytes
from tests.support.servers import KafkaServer


@pytest.fixture
def bench(real_kafka_server: KafkaServer, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(real_kafka_server, tmp_path)
    yield bench
    bench.stop()


@pytest.mark.real
def test_every_event_has_one_answer_or_one_dead_letter(bench: Bench) -> None:
    words = ["fine"] * 12 + ["slow", "flaky", "cut", "bad", "poison"]
    events = {f"e{n}": (f"{words[n % len(words)]}-{n}", n) for n in range(204)}
    dead = {e for e, (listing, _) in events.items() if listing.split("-")[0] in ("bad", "poison")}
    raw = [b"{", structured_bytes("typeless", type="org.other.v1")]
    began_ns = time.time_ns()
    bench.produce(events, raw)
    with FakeServe() as serve:
        worker = bench.worker(serve)
        visible = bench.visible(len(events) - len(dead))
        bench.wait(lambda: bench.lag() == 0)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    assert visible == Counter(set(events) - dead)
    letters = bench.dead()
    codes = Counter(letter["vitrine-error-code"].decode() for letter in letters)
    assert codes == {"bad_listing": 12, "worker_lost": 12, "invalid_json": 1, "unknown_event_type": 1}
    assert {letter["vitrine-event-id"].decode() for letter in letters if letter["value"] not in raw} == dead
    assert {letter["value"] for letter in letters} >= set(raw)
    poisoned = [tries for event, tries in serve.seen.items() if events[event][0].startswith("poison")]
    assert all(tries[-1].final for tries in poisoned)
    assert max(serve.sizes) > 1
    assert bench.lag() == 0
    for headers in (*bench.result_headers(), *letters):
        told = json.loads(headers["vitrine-moments"])
        assert told["clock"] == (clock_name() or "")
        assert began_ns < told["consumed_ns"] < told["published_ns"] < time.time_ns()


@pytest.mark.real
def test_any_header_name_and_any_codec_is_read(bench: Bench) -> None:
    bench.produce_oddly()
    with FakeServe() as serve:
        worker = bench.worker(serve)
        visible = bench.visible(7)
        bench.wait(lambda: bench.lag() == 0)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0
    assert visible == Counter(["gzip", "lz4", "snappy", "zstd", "None", "odd1", "odd2"])
    (letter,) = bench.dead()
    assert (letter["vitrine-error-code"], letter.get("\\xff")) == (b"invalid_json", b"x"), letter


@pytest.mark.real
def test_a_record_that_the_broker_takes_but_not_its_dead_letter_is_put_aside_bare(bench: Bench) -> None:
    # Random, so that nothing compresses; 188 bytes below what a broker takes by default.
    value = Random(1).randbytes(1_048_400)
    bench.produce({"e1": ("fine-1", 1)}, [value])
    with FakeServe() as serve:
        bench.worker(serve)
        assert bench.visible(1) == Counter(["e1"])
        bench.wait(lambda: bench.lag() == 0)
    (letter,) = bench.dead()
    assert letter["value"] == b""
    assert letter["vitrine-truncated"] == b"value"
    assert letter["vitrine-original-sha256"] == hashlib.sha256(value).hexdigest().encode()


@pytest.mark.real
def test_kill_in_the_middle_and_start_again(bench: Bench) -> None:
    events = {f"e{n}": (f"fine-{n}", n) for n in range(600)}
    bench.produce(events)
    with FakeServe(delay_s=0.05, capacity=48) as serve:
        first = bench.worker(serve)
        bench.wait(lambda: serve.tries > 200)
        first.send_signal(signal.SIGKILL)
        first.wait()
        before = serve.tries
        second = bench.worker(serve)
        visible = bench.visible(len(events))
        bench.wait(lambda: bench.lag() == 0)
        second.send_signal(signal.SIGTERM)
        assert second.wait(20) == 0
    assert visible == Counter(events.keys())
    # What was committed, in the bitmap too, is not worked on again.
    assert serve.tries - len(events) < 200
    assert before < len(events)


@pytest.mark.real
def test_two_workers_share_and_one_leaves(bench: Bench) -> None:
    events = {f"e{n}": (f"fine-{n}", n) for n in range(1500)}
    bench.produce(events)
    with FakeServe(delay_s=0.3, capacity=32) as serve:
        first = bench.worker(serve)
        bench.wait(lambda: serve.tries > 100)
        second = bench.worker(serve)
        bench.wait(lambda: "answered" in bench.log(1))
        first.send_signal(signal.SIGTERM)
        assert first.wait(20) == 0
        visible = bench.visible(len(events))
        bench.wait(lambda: bench.lag() == 0)
        second.send_signal(signal.SIGTERM)
        assert second.wait(20) == 0
    assert visible == Counter(events.keys())
    assert "revoked 6 partitions" in bench.log(0)


@pytest.mark.real
def test_a_topic_that_is_made_anew_before_anybody_notices_is_read_from_its_start(bench: Bench) -> None:
    topic = bench.settings.topics[0]
    old, new = ({f"{name}{n}": (f"fine-{name}{n}", 1) for n in range(count)} for name, count in (("a", 8), ("b", 60)))
    admin = KafkaAdminClient(**bench.kafka.client())
    with FakeServe() as serve:
        bench.worker(serve, metadata_max_age_s=3)
        bench.produce(old, only=0)
        assert bench.visible(len(old)) == Counter(old.keys())
        bench.wait(lambda: bench.lag() == 0)
        # While Serve is away nothing is fetched, so nothing shows that the topic is gone.
        serve.busy = True
        bench.produce({"e": ("fine-e", 1)}, only=1)
        bench.wait(lambda: serve.refused >= 4)
        admin.delete_topics([topic])
        ensure_topics(bench.kafka.bootstrap, {topic: 4})
        bench.produce(new, only=0)
        serve.busy = False
        assert bench.visible(len(old) + len(new) + 1) == Counter([*old, *new, "e"])
        bench.wait(lambda: bench.lag() == 0)
    assert "log_made_anew" in bench.log(0)
    admin.close()


@pytest.mark.real
def test_serve_away_and_back_burns_no_attempt(bench: Bench) -> None:
    events = {f"e{n}": (f"fine-{n}", 1) for n in range(40)}
    bench.produce(events)
    with FakeServe(busy=True) as serve:
        bench.worker(serve)
        bench.wait(lambda: serve.refused >= 3)
        serve.busy = False
        visible = bench.visible(len(events))
    assert visible == Counter(events.keys())
    assert all(item.attempt == 1 for items in serve.seen.values() for item in items)
    assert bench.dead() == []


def test_the_embedded_mock_broker_carries_a_single_worker(embedded_kafka: KafkaServer, tmp_path: Path) -> None:
    bench = Bench(embedded_kafka, tmp_path)
    events = {f"e{n}": (f"fine-{n % 20}", n) for n in range(120)}
    bench.produce(events)
    try:
        with FakeServe() as serve:
            worker = bench.worker(serve)
            visible = bench.visible(len(events))
            bench.wait(lambda: bench.lag() == 0)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(20) == 0
    finally:
        bench.stop()
    assert visible == Counter(events.keys())
