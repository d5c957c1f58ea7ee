"""`vitrine dlq`, `replay` and `lag` against a real Kafka, as a user types them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka import TopicPartition as KafkaPartition
from kafka.admin import KafkaAdminClient
from kafka.structs import OffsetAndMetadata

import deploy.cli
from consumers.core import bitmap
from consumers.core.actions import PublishDead
from consumers.dead_letters import dead_letter
from consumers.events import ListingEvent, parse
from consumers.records import Message, SourceRecord, TopicPartition
from consumers.results import parse_result
from consumers.settings import ConsumerSettings
from consumers.tools.log_reader import LogReader
from deploy.cli import console
from deploy.services.kafka_topics import ensure_topics
from serve.schemas.exchange import EnrichItem
from serve.schemas.outcome import Outcome, RetryClass
from serve.schemas.result import ErrorInfo, ListingResult, Position
from tests.support.fake_serve import FakeServe
from tests.support.listing_events import structured_bytes
from tests.support.photos import garment
from tests.support.servers import KafkaServer, unique
from tests.support.small_studio import small_studio
from tests.support.studio_server import studio_server

pytestmark = pytest.mark.real
PROGRAM = str(Path(sys.executable).with_name("vitrine"))


class Told(NamedTuple):
    """What a command wrote."""

    stdout: str
    stderr: str


class Desk:
    """Topics of one's own, and the command line that works on them."""

    def __init__(self, kafka: KafkaServer, state: Path) -> None:
        self.kafka = kafka
        retry = unique("retry") + ".1s"
        ensure_topics(kafka.bootstrap, {retry: 1})
        self.settings = ConsumerSettings(
            bootstrap=kafka.bootstrap,
            topics=(kafka.new_topic("new", 2), kafka.new_topic("high", 1)),
            retry_topics=(retry,),
            results_topic=kafka.new_topic("results", 2),
            dead_topic=kafka.new_topic("dead"),
            group="none",
        )
        self._env = {
            "VITRINE_DEPLOY_STATE_DIR": str(state),
            "VITRINE_CONSUMERS_BOOTSTRAP": kafka.bootstrap,
            "VITRINE_CONSUMERS_TOPICS": ",".join(self.settings.topics),
            "VITRINE_CONSUMERS_RETRY_TOPICS": ",".join(self.settings.retry_topics),
            "VITRINE_CONSUMERS_RESULTS_TOPIC": self.settings.results_topic,
            "VITRINE_CONSUMERS_DEAD_TOPIC": self.settings.dead_topic,
        }

    def run(self, *arguments: str, code: int = 0) -> Told:
        """`vitrine` with these arguments, in this process; it must end with this code."""
        out, err = StringIO(), StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name, value in self._env.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["vitrine", *arguments])
            patch.setattr(signal, "signal", lambda *_: None)
            patch.setattr(console.out, "width", 250)
            patch.setattr(console.err, "width", 250)
            with pytest.raises(SystemExit) as ended:
                deploy.cli.main()
        told = Told(out.getvalue(), err.getvalue())
        assert (ended.value.code or 0) == code, told
        assert "Traceback" not in told.stderr
        return told

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The same, left running."""
        return subprocess.Popen(
            [PROGRAM, *arguments],
            env={**os.environ, **self._env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def json(self, *arguments: str, code: int = 0) -> Any:
        done = self.run(*arguments, "--json", code=code)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def produce(self, topic: str, messages: Sequence[Message], partition: int = 0) -> list[int]:
        """Send messages; their offsets."""
        producer = KafkaProducer(**self.kafka.client())
        futures = [
            producer.send(topic, key=m.key, value=m.value, headers=list(m.headers), partition=partition)
            for m in messages
        ]
        offsets = [future.get(30).offset for future in futures]
        producer.close()
        return offsets

    def records(self, topic: str) -> list[SourceRecord]:
        with LogReader(self.settings) as reader:
            return list(reader.read(reader.bounds(reader.partitions(topic))))

    def results(self, topic: str) -> dict[str, ListingResult]:
        """Results by event."""
        found = [parse_result(record.value) for record in self.records(topic)]
        return {event.causationid: event.data for event in found if event is not None}

    def bury(self, record: SourceRecord, code: str = "bad_listing", *, bare: bool = False) -> None:
        error = ErrorInfo(code=code, retry=RetryClass.PERMANENT, message="no good")
        letter = dead_letter(PublishDead(1, record, parse(record), error, 1, 1.0, 2.0, bare), 0.0, "test")
        self.produce(self.settings.dead_topic, [letter])


@pytest.fixture
def desk(real_kafka_server: KafkaServer, tmp_path: Path) -> Desk:
    return Desk(real_kafka_server, tmp_path)


def message(event_id: str, listing: str = "l1", revision: int = 1, **more: object) -> Message:
    headers = (("content-type", b"application/json"), ("trace", b""))
    return Message(f"acme:{listing}".encode(), structured_bytes(event_id, listing, revision, **more), headers)


@pytest.fixture
def buried(desk: Desk) -> list[SourceRecord]:
    """Four events in partition 1, all dead: one whole, one bare, one bare and gone, one not even an event."""
    topic = desk.settings.topics[0]
    desk.produce(topic, [message("e0"), message("e1"), Message(None, b"{", (("n", b"x"),))], partition=1)
    records = desk.records(topic)
    desk.bury(records[0])
    desk.bury(records[1], "result_unpublishable", bare=True)
    desk.bury(records[1]._replace(offset=77), "result_unpublishable", bare=True)
    desk.bury(records[2], "invalid_json")
    desk.produce(desk.settings.dead_topic, [Message(b"k", b"hello", ())])
    return records


def test_dead_letters_are_listed_and_shown(desk: Desk, buried: list[SourceRecord]) -> None:
    told = desk.json("dlq", "list")
    assert [letter["event_id"] for letter in told["letters"]] == ["e0", "e1", "e1", None, None]
    assert [letter["bare"] for letter in told["letters"]] == [False, True, True, False, False]
    assert told["codes"]["result_unpublishable"] == {"letters": 2, "replayed": 0}
    assert told["codes"][""] == {"letters": 1, "replayed": 0}
    few = desk.json("dlq", "list", "--code", "bad_listing", "--tenant", "acme", "--since", "1h", "--until", "now")
    assert [letter["place"] for letter in few["letters"]] == ["0/0"]
    assert desk.json("dlq", "list", "--until", "1h")["letters"] == []
    assert desk.json("dlq", "list", "--last", "1")["total"] == 5
    table = desk.run("dlq", "list").stdout
    assert "bad_listing" in table
    assert "acme:l1" in table
    assert "no such dead letters" in desk.run("dlq", "list", "--event-id", "nobody").stdout

    one = desk.json("dlq", "show", "0/0")
    assert one["value"]["id"] == "e0"
    assert one["headers"][0] == {"name": "content-type", "value": "application/json"}
    assert one["facts"]["original-topic"] == desk.settings.topics[0]
    assert '"specversion": "1.0"' in desk.run("dlq", "show", "0").stdout
    assert "not in the letter" in desk.run("dlq", "show", "0/1").stdout
    assert desk.json("dlq", "show", "4")["value"] == "hello"
    assert "nothing at 0/99" in desk.run("dlq", "show", "0/99", code=1).stderr
    assert "is no position" in desk.run("dlq", "show", "x", code=2).stderr


def test_letters_go_back_byte_for_byte_once(desk: Desk, buried: list[SourceRecord]) -> None:
    topic = desk.settings.topics[0]
    plan = desk.json("dlq", "replay", "--dry-run", code=1)
    assert [letter["target"] for letter in plan["would_send"]] == [topic] * 4 + [None]
    assert "--yes" in desk.run("dlq", "replay", code=1).stderr
    assert len(desk.records(topic)) == 3, "nothing was sent so far"

    told = desk.json("dlq", "replay", "--yes", "--rate", "50", code=1)
    assert [letter["to"] for letter in told["letters"]] == [f"{topic}/1/3", f"{topic}/1/4", None, f"{topic}/1/5", None]
    problems = [letter["problem"] or "" for letter in told["letters"]]
    assert f"{topic}/1/77 is gone" in problems[2]
    assert "no dead letter of ours" in problems[4]
    assert not told["interrupted"]
    came = desk.records(topic)[3:]
    for original, again in zip(buried, came, strict=True):
        own = tuple(header for header in again.headers if not header[0].startswith("vitrine-"))
        assert (again.key, again.value, own) == (original.key, original.value, original.headers)
    assert dict(came[1].headers)["vitrine-replayed-from"] == f"{desk.settings.dead_topic}/0/1".encode()

    listed = desk.json("dlq", "list")
    assert [letter["replayed_to"] for letter in listed["letters"]] == [
        f"{topic}/1/3", f"{topic}/1/4", None, f"{topic}/1/5", None,
    ]  # fmt: skip
    second = desk.json("dlq", "replay", "--code", "bad_listing", "--yes")
    assert (second["letters"], second["replayed_before"]) == ([], 1)
    assert "says that 0/0 was sent again" in desk.run("dlq", "show", "5", code=1).stderr


def test_a_letter_may_go_elsewhere_and_again(desk: Desk, buried: list[SourceRecord]) -> None:
    other = desk.settings.topics[1]
    done = desk.run("dlq", "replay", "0/0", "0/4", "--topic", other, "--yes", code=1)
    assert f"1 of 2 letters sent again (1 to {other})" in done.stdout
    assert "0/4: it does not say where it came from" in done.stderr
    desk.run("dlq", "replay", "0/0", "--topic", other, "--yes", "--again")
    assert [record.value for record in desk.records(other)] == [buried[0].value] * 2
    assert "no such letter" in desk.run("dlq", "replay", "0/50", "--yes", code=1).stderr
    missing = desk.run("dlq", "replay", "0/1", "--topic", "nowhere", "--yes", code=1)
    assert "there is no topic nowhere" in missing.stderr


def test_another_record_at_the_original_place_is_not_taken_for_it(desk: Desk) -> None:
    topic = desk.settings.topics[0]
    desk.produce(topic, [message("e0")])
    (record,) = desk.records(topic)
    desk.bury(record._replace(value=b"something else"), bare=True)
    told = desk.json("dlq", "replay", "--yes", code=1)
    assert "stands another record" in told["letters"][0]["problem"]
    assert len(desk.records(topic)) == 1


def test_empty_and_missing_topics_are_told(desk: Desk) -> None:
    assert "no such dead letters" in desk.run("dlq", "list").stdout
    assert desk.json("dlq", "replay", "--yes")["letters"] == []
    assert "there is no topic nowhere" in desk.run("dlq", "list", "--dead-topic", "nowhere", code=1).stderr


def keep_from(desk: Desk, tp: TopicPartition, offset: int) -> None:
    """What retention does: everything before the offset is removed."""
    admin = KafkaAdminClient(**desk.kafka.client())
    admin.delete_records({KafkaPartition(*tp): offset})
    admin.close()


def test_a_reader_passes_over_what_retention_takes_while_it_reads(desk: Desk) -> None:
    topic = desk.settings.topics[1]
    tp = TopicPartition(topic, 0)
    desk.produce(topic, [message(f"e{number}") for number in range(10)])
    with LogReader(desk.settings) as reader:
        reader.start(reader.bounds([tp]))
        keep_from(desk, tp, 6)
        found: list[int] = []
        while not reader.done:
            found += [record.offset for record in reader.poll()]
        assert (found, reader.removed) == ([6, 7, 8, 9], 6)
        assert reader.at(tp, 5) is None
        assert (reader.at(tp, 7) or found).offset == 7  # type: ignore[union-attr]
        assert reader.at(tp, 10) is None
    assert desk.json("dlq", "list")["letters"] == []


def test_a_reader_ends_behind_the_markers_of_transactions(desk: Desk) -> None:
    topic = desk.settings.topics[1]
    producer = KafkaProducer(**desk.kafka.client(), transactional_id=unique("txn"))
    producer.init_transactions()
    for keep, values in ((False, b"abc"), (True, b"de"), (False, b"f")):
        producer.begin_transaction()
        for value in values:
            producer.send(topic, value=bytes([value]))
        producer.flush(30)
        (producer.commit_transaction if keep else producer.abort_transaction)()
    producer.close()
    with LogReader(desk.settings) as reader:
        (span,) = reader.bounds(reader.partitions(topic)).values()
    assert span.size == 9, "six records, three markers"
    assert [record.value for record in desk.records(topic)] == [b"d", b"e"]


def test_events_are_replayed_into_a_topic_of_their_own(desk: Desk) -> None:
    low, high = desk.settings.topics
    listings = ["fine", "flaky", "late", "bad"]
    desk.produce(low, [message(f"{name}-1", name) for name in listings], partition=1)
    desk.produce(high, [message(f"fine-{revision}", "fine-x", revision) for revision in range(2, 6)])
    desk.produce(high, [Message(b"k", b"{", ())])
    into = desk.kafka.new_topic("again")
    with FakeServe() as serve:
        order = ("replay", "--from", "earliest", "--results-topic", into, "--serve", serve.url)
        plan = desk.json(*order, "--dry-run")
        assert (plan["offsets"], len(plan["spans"])) == (9, 2)
        told = desk.json(*order, "--dead-topic", into + ".dead", code=1)
        seen = dict(serve.seen)
    assert told["events"] == told["done"] == 9
    assert told["outcomes"] == {"enriched": 7}
    assert told["failed"] == {"bad_listing": 1, "invalid_json": 1}
    assert told["retries"] == {"flaky_listing": 1, "late_listing": 1}
    assert sorted(failure["code"] for failure in told["failures"]) == ["bad_listing", "invalid_json"]
    assert all(item.replay for items in seen.values() for item in items)
    assert [len(seen[f"{name}-1"]) for name in listings] == [1, 2, 2, 1]
    assert set(seen) == {f"fine-{n}" for n in range(1, 6)} | {f"{name}-1" for name in listings}
    results = desk.results(into)
    assert results["late-1"].position == Position(topic=low, partition=1, offset=2)
    keys = [record.key for record in desk.records(into) if b"fine-x" in (record.key or b"")]
    assert len(keys) == 4, "no revision is left out"
    assert len(desk.json("dlq", "list", "--dead-topic", into + ".dead")["letters"]) == 2
    assert desk.records(desk.settings.results_topic) == desk.records(desk.settings.dead_topic) == []
    assert desk.records(desk.settings.retry_topics[0]) == []


def test_a_replay_has_borders(desk: Desk) -> None:
    topic = desk.settings.topics[1]
    desk.produce(topic, [message(f"e{number}", f"fine-{number}") for number in range(20)])
    into = desk.kafka.new_topic("again")
    keep_from(desk, TopicPartition(topic, 0), 5)
    with FakeServe() as serve:
        order = ("replay", "--topics", topic, "--results-topic", into, "--serve", serve.url)
        told = desk.json(*order, "--from", "3", "--to", "8", code=1)
        assert (told["removed"], sorted(desk.results(into))) == (2, ["e5", "e6", "e7"])
        told = desk.json(*order, "--from", "1h", "--limit", "4", "--rate", "100")
        assert (told["events"], told["outcomes"]) == (4, {"enriched": 4})
        assert desk.json(*order, "--from", "now")["events"] == 0
        assert "0 of 0 events" in desk.run(*order, "--from", "99").stdout


def test_a_replay_refuses_what_would_disturb_the_living(desk: Desk) -> None:
    live, high = desk.settings.results_topic, desk.settings.topics[1]
    start = ("replay", "--from", "earliest")
    assert "everybody reads" in desk.run(*start, "--results-topic", live, code=1).stderr
    assert "topic of events" in desk.run(*start, "--results-topic", high, code=1).stderr
    assert "topic of events" in desk.run(*start, "--results-topic", "x", "--dead-topic", high, code=1).stderr
    assert "no topic nowhere" in desk.run(*start, "--results-topic", "x", "--topics", "nowhere", code=1).stderr
    away = ("--serve", "http://127.0.0.1:1")
    assert "does not answer" in desk.run(*start, "--results-topic", "x", *away, code=1).stderr
    assert "is no time" in desk.run("replay", "--from", "yesterday", "--results-topic", "x", code=2).stderr
    with FakeServe() as serve:
        told = desk.json(*start, "--results-topic", live, "--serve", serve.url, "--force")
    assert told["events"] == 0


def test_ctrl_c_ends_a_replay_in_good_order(desk: Desk) -> None:
    topic = desk.settings.topics[1]
    desk.produce(topic, [message(f"e{number}", f"fine-{number}") for number in range(40)])
    into = desk.kafka.new_topic("again")
    with FakeServe(delay_s=0.2, capacity=2) as serve:
        order = ["replay", "--from", "0", "--topics", topic, "--results-topic", into, "--serve", serve.url]
        process = desk.start(*order, "--json")
        while serve.tries < 5:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        told, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    answer = json.loads(told)
    assert answer["interrupted"]
    assert 0 < answer["done"] < 40
    assert len(desk.results(into)) == answer["done"]


def photo_event(event_id: str, listing: str, revision: int, *urls: str) -> Message:
    data = {"tenant_id": "acme", "listing_id": listing, "revision": revision, "images": [{"url": url} for url in urls]}
    return message(event_id, listing, data=data)


def test_same_event_same_recipe_same_weights_same_images(desk: Desk, tmp_path: Path) -> None:
    topic = desk.settings.topics[1]
    desk.produce(topic, [photo_event("e1", "l1", 1, "a"), photo_event("e2", "l1", 2, "a", "b")])
    one, two, three = (desk.kafka.new_topic("again") for _ in range(3))
    photos = {"a": garment((200, 30, 30), 1), "b": garment((30, 30, 200), 2)}
    with small_studio(photos, tmp_path) as studio, studio_server(studio) as url:
        live = {}
        for record in desk.records(topic):
            event = parse(record)
            assert isinstance(event, ListingEvent)
            place = Position(topic=topic, partition=0, offset=record.offset)
            item = EnrichItem(
                ref=0,
                event_id=event.id,
                event_source=event.source,
                type=event.type,
                position=place,
                listing=event.listing,
            )
            live[event.id] = asyncio.run(studio.pipeline.answer(item))
        order = ("replay", "--from", "earliest", "--topics", topic, "--serve", url, "--results-topic")
        told = desk.json(*order, one)
        assert told["images"] == {"all": 6, "reused": 6, "repeated_keys": 2}
        studio.store.delete([output.key for result in live.values() for output in result.outputs])
        assert desk.json(*order, two)["images"] == {"all": 6, "reused": 2, "repeated_keys": 2}
        studio.paint.version = "2"
        assert desk.json(*order, three)["images"] == {"all": 6, "reused": 2, "repeated_keys": 2}

    def images(results: dict[str, ListingResult]) -> dict[str, list[tuple[str, str]]]:
        return {name: [(o.key, o.sha256) for o in result.outputs] for name, result in results.items()}

    assert images(desk.results(one)) == images(desk.results(two)) == images(live)
    assert all(result.outcome is Outcome.ENRICHED for result in desk.results(two).values())
    new, old = images(desk.results(three)), images(live)
    assert {key for found in new.values() for key, _ in found}.isdisjoint(key for f in old.values() for key, _ in f)


@pytest.fixture
def behind(desk: Desk) -> Iterator[str]:
    """A group with one member that has done 3 of 10 events, two of them beyond the committed one."""
    topic, group = desk.settings.topics[0], unique("group")
    desk.produce(topic, [message(f"e{number}") for number in range(10)])
    desk.produce(desk.settings.retry_topics[0], [message("later")])
    desk.bury(desk.records(topic)[9])
    consumer = KafkaConsumer(topic, **desk.kafka.client(), group_id=group, enable_auto_commit=False)
    while not consumer.assignment():
        consumer.poll(timeout_ms=200)
    place = KafkaPartition(topic, 0)
    consumer.commit({place: OffsetAndMetadata(1, bitmap.encode(1, [3, 4]), -1)})
    yield group
    consumer.close(autocommit=False)


def test_lag_tells_what_is_left_and_since_when(desk: Desk, behind: str) -> None:
    told = desk.json("lag", "--group", behind)
    rows = {(row["topic"], row["partition"]): row for row in told["partitions"]}
    assert len(rows) == 3
    row = rows[desk.settings.topics[0], 0]
    assert [row[name] for name in ("committed", "end", "lag", "done", "open", "oldest")] == [1, 10, 9, 2, 7, 1]
    assert 0 <= row["age_s"] < 120
    assert row["member"] == told["members"][0]["name"]
    assert rows[desk.settings.topics[1], 0]["note"] == "no commit"
    assert (told["totals"]["open"], told["retries_waiting"], told["dead_letters"]) == (7, 1, 1)
    assert (told["state"], told["missing_topics"]) == ("Stable", [])
    shown = desk.run("lag", "--group", behind, "--once").stdout
    assert "1 members" in shown
    assert "1 wait in retry topics, 1 in the dead-letter topic" in shown


def test_lag_alerts(desk: Desk, behind: str) -> None:
    desk.run("lag", "--group", behind, "--max-lag", "9", "--max-age", "3600")
    assert "above 8" in desk.run("lag", "--group", behind, "--max-lag", "8", code=1).stderr
    time.sleep(0.1)
    assert "above 0.1 s" in desk.run("lag", "--group", behind, "--max-age", "0.1", code=1).stderr


def test_lag_knows_retention_gaps_and_groups_without_members(desk: Desk) -> None:
    topic, group = desk.settings.topics[0], unique("group")
    desk.produce(topic, [message(f"e{number}") for number in range(10)], partition=1)
    place = KafkaPartition(topic, 1)
    consumer = KafkaConsumer(**desk.kafka.client(), group_id=group, enable_auto_commit=False)
    consumer.assign([place])
    consumer.commit({place: OffsetAndMetadata(2, bitmap.encode(2, [4, 7]), -1)})
    consumer.close(autocommit=False)
    keep_from(desk, TopicPartition(topic, 1), 6)
    told = desk.json("lag", "--group", group)
    (row,) = [row for row in told["partitions"] if row["committed"] is not None]
    assert [row[name] for name in ("lag", "done", "open", "oldest", "removed")] == [4, 1, 3, 6, 3]
    assert (told["state"], told["members"]) == ("Empty", [])
    assert "3 removed by retention" in desk.run("lag", "--group", group, "--once").stdout


def test_lag_of_nobody_names_those_that_there_are(desk: Desk, behind: str) -> None:
    told = desk.run("lag", "--group", "nobody", "--once", code=1).stderr
    assert "there is no group nobody" in told
    assert behind in told


def test_lag_is_told_again_and_again_until_ctrl_c(desk: Desk, behind: str) -> None:
    process = desk.start("lag", "--group", behind, "--every", "0.2")
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert all(f"group {behind}, stable, 1 members, no progress for" in line for line in lines)
