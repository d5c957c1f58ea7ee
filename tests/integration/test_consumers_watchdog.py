"""A Kafka client that hangs is replaced in place, against a real Kafka; what is done is not worked on again."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.consumer_bench import Bench
from tests.support.fake_serve import FakeServe
from tests.support.servers import KafkaServer

pytestmark = pytest.mark.real

#: Once a hundred events are answered, one call of `{name}` does `{fate}`, for ever.
_HANGS_ONCE = """
import logging, threading, time
from kafka import KafkaConsumer
from consumers import worker
original, answered, hung = KafkaConsumer.{name}, [], []

def call(self, *args, **kwargs):
    if len(answered) >= 100 and not hung:
        hung.append(True)
        {fate}
    return original(self, *args, **kwargs)

class Ear(logging.Handler):
    def emit(self, record):
        if record.getMessage() == "event is answered":
            answered.append(True)

logging.getLogger("consumers.events").addHandler(Ear())
KafkaConsumer.{name} = call
"""
_FOR_EVER = "threading.Event().wait()"
#: As in the client itself: a coroutine on its loop that never ends, with the caller waiting for it.
_ON_ITS_LOOP = "self._net.run(self._net.sleep, 100_000)"
#: A commit whose answer is lost.
_WITHOUT_ANSWER = "kwargs['callback'] = lambda *_: None; from kafka.future import Future; return Future()"


@pytest.fixture
def bench(real_kafka_server: KafkaServer, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(real_kafka_server, tmp_path)
    yield bench
    bench.stop()


@pytest.mark.parametrize(
    ("name", "fate"),
    [
        ("poll", _FOR_EVER),
        ("poll", _ON_ITS_LOOP),
        ("commit_async", _FOR_EVER),
        ("commit_async", _WITHOUT_ANSWER),
    ],
)
def test_a_client_that_hangs_is_replaced_and_nothing_done_is_done_again(bench: Bench, name: str, fate: str) -> None:
    replaced(bench, name, fate)


@pytest.mark.parametrize(
    "more", [{"delivery": "transactional", "transaction_every_s": 0.2}, {"group_instance_id": "one"}]
)
def test_so_it_is_with_transactions_and_for_static_members(bench: Bench, more: dict[str, object]) -> None:
    replaced(bench, "poll", _FOR_EVER, **more)


def replaced(bench: Bench, name: str, fate: str, **more: object) -> None:
    sent = {f"e{n}": (f"fine-{n}", 1) for n in range(400)}
    bench.produce(sent)
    with FakeServe(delay_s=0.1, capacity=10) as serve:
        worker = bench.worker(serve, patch=_HANGS_ONCE.format(name=name, fate=fate), stall_s=3, **more)
        bench.wait(lambda: bench.lag() == 0, timeout_s=60)
        worker.terminate()
        assert worker.wait(20) == 0
    assert bench.log(0).count('"client_replaced"') == 1
    # Each event has one result, also for a reader that drops nothing; only what was with Serve went there twice.
    assert bench.committed_results() == Counter(sent.keys())
    assert serve.tries <= len(sent) + 20


def test_a_worker_whose_client_was_replaced_drains_and_ends(bench: Bench) -> None:
    with FakeServe() as serve:
        patch = _HANGS_ONCE.format(name="poll", fate=_FOR_EVER).replace(">= 100", ">= 0")
        worker = bench.worker(serve, patch=patch, stall_s=3)
        bench.wait(lambda: "client_replaced" in bench.log(0))
        bench.produce({"e1": ("fine-1", 1)})
        assert bench.visible(1) == Counter(["e1"])
        worker.terminate()
        assert worker.wait(20) == 0
