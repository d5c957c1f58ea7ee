"""The demo's readers against a broker."""

import threading
import time

from kafka import KafkaProducer

from consumers.headers import PREFIX
from consumers.results import ENRICHED, SOURCE, ResultEvent
from consumers.settings import ConsumerSettings
from deploy.demo.reading import Answer, Answers
from tests.support.demo_run import position, result
from tests.support.servers import KafkaServer


def test_the_demo_reads_answers_once_and_leaves_no_reader(embedded_kafka: KafkaServer) -> None:
    server = embedded_kafka
    results, dead = server.new_topic("results"), server.new_topic("dead")
    version = ".".join(map(str, server.api_version or ())) or None
    settings = ConsumerSettings(bootstrap=server.bootstrap, api_version=version, results_topic=results, dead_topic=dead)
    event = ResultEvent(
        specversion="1.0", id="one", source=SOURCE, type=ENRICHED, causationid="e", data=result(position(7))
    )
    answer = event.model_dump_json().encode()
    producer = KafkaProducer(**server.client())
    for value in (answer, b"no result", answer):
        producer.send(results, value=value)
    at = {"original-topic": b"t", "original-partition": b"0", "original-offset": b"8", "error-code": b"invalid_json"}
    producer.send(dead, value=b"{", headers=[(f"{PREFIX}{name}", value) for name, value in at.items()])
    producer.flush()
    producer.close()
    found: list[Answer] = []
    with Answers(settings) as answers:
        deadline = time.monotonic() + 60
        while len(found) < 2 and time.monotonic() < deadline:
            found += answers.take()
            time.sleep(0.05)
        time.sleep(0.5)
        found += answers.take()
    assert sorted(one.position.offset for one in found if one.position) == [7, 8]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read-")]
