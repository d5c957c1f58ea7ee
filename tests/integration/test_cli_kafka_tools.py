"""`vitrine dlq`, `replay` and `lag` against a real Kafka, as a user types them."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer

from consumers.core.actions import PublishDead
from consumers.dead_letters import dead_letter
from consumers.events import parse
from consumers.log_reader import LogReader
from consumers.records import Message, SourceRecord, TopicPartition
from consumers.settings import ConsumerSettings
from serve.schemas.outcome import RetryClass
from serve.schemas.result import ErrorInfo
from tests.support.listing_events import structured_bytes
from tests.support.servers import KafkaServer

pytestmark = pytest.mark.real
PROGRAM = str(Path(sys.executable).with_name("vitrine"))


class Desk:
    """Topics of one's own, and the command line that works on them."""

    def __init__(self, kafka: KafkaServer, state: Path) -> None:
        self.kafka = kafka
        self.settings = ConsumerSettings(
            bootstrap=kafka.bootstrap,
            topics=(kafka.new_topic("new", 2), kafka.new_topic("high", 1)),
            retry_topics=(kafka.new_topic("retry") + ".30s",),
            results_topic=kafka.new_topic("results", 2),
            dead_topic=kafka.new_topic("dead"),
            group="none",
        )
        self._env = {
            **os.environ,
            "VITRINE_DEPLOY_STATE_DIR": str(state),
            "NO_COLOR": "1",
            "COLUMNS": "250",
            "VITRINE_CONSUMERS_BOOTSTRAP": kafka.bootstrap,
            "VITRINE_CONSUMERS_TOPICS": ",".join(self.settings.topics),
            "VITRINE_CONSUMERS_RETRY_TOPICS": ",".join(self.settings.retry_topics),
            "VITRINE_CONSUMERS_RESULTS_TOPIC": self.settings.results_topic,
            "VITRINE_CONSUMERS_DEAD_TOPIC": self.settings.dead_topic,
        }

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """`vitrine` with these arguments; it must end with this code."""
        done = subprocess.run(
            [PROGRAM, *arguments], env=self._env, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code).stdout)

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
    from kafka import TopicPartition as KafkaPartition  # noqa: PLC0415
    from kafka.admin import KafkaAdminClient  # noqa: PLC0415

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
