"""The stubs do what they are told, and the load test finds out: what is lost, doubled, frozen, capped, refused."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from kafka import KafkaProducer

from consumers.reader import Visible
from consumers.results import parse_result
from consumers.settings import ConsumerSettings
from consumers.tools.log_reader import LogReader
from deploy.bench.listings import item, message
from deploy.bench.open_loop import evenly, offer
from deploy.loadtest.document import RunDocument, SearchDocument
from deploy.loadtest.measuring.hlog import read_hlog
from serve.schemas.exchange import EnrichRequest
from tests.support.servers import KafkaServer, unique
from tests.support.stub_answers import Mischief, Stub
from tests.support.stub_ingress import stub_ingress
from tests.support.stub_worker import stub_worker

PROGRAM = str(Path(sys.executable).with_name("vitrine"))
#: Listings without photos, one event each: answered `rejected`, and nothing is fetched.
BARE = "description: one event per listing, without photos\nnew_listings: 1\nfirst: {bare: 1}\n"


def body(*numbers: int) -> str:
    return EnrichRequest(items=[item(number) for number in numbers]).model_dump_json(exclude_unset=True)


def post(stub: Stub, *numbers: int) -> tuple[int, list[dict[str, Any]]]:
    answer = httpx.post(f"{stub.url}/v1/enrich", content=body(*numbers), timeout=30, trust_env=False, verify=False)
    return answer.status_code, [json.loads(line) for line in answer.text.splitlines()] if answer.is_success else []


def test_the_stub_speaks_as_serve_does(tmp_path: Path) -> None:
    with stub_ingress(tmp_path) as stub:
        for path in ("/healthz", "/readyz"):
            assert httpx.get(f"{stub.url}{path}", trust_env=False).status_code == 200
        assert httpx.get(f"{stub.url}/v1/capacity", trust_env=False).json()["max_in_flight"] > 100
        status, lines = post(stub, 1, 2)
        assert status == 200
        assert sorted((line["ref"], line["result"]["outcome"]) for line in lines) == [(1, "enriched"), (2, "enriched")]
        assert httpx.post(f"{stub.url}/v1/enrich", content="{", trust_env=False).status_code == 422


def test_the_stub_misbehaves_as_told_and_counts_it(tmp_path: Path) -> None:
    with stub_ingress(tmp_path, Mischief(lose=10, twice=7, wrong=9, refuse=8)) as stub:
        answers: Counter[str] = Counter()
        for number in range(100):
            status, lines = post(stub, number)
            answers["refused" if status == 503 else str(len(lines))] += 1
            answers["failed"] += any(line["result"]["outcome"] == "failed" for line in lines)
        counts = stub.counts()
    assert answers["refused"] == counts["refuse"] == 100 // 8
    taken = 100 - answers["refused"]
    assert counts["taken"] == taken
    assert answers["0"] == counts["lose"] == taken // 10
    assert counts["wrong"] == len([n for n in range(9, taken + 1, 9) if n % 10])
    # What is lost is not answered twice.
    assert answers["2"] == counts["twice"] == len([n for n in range(7, taken + 1, 7) if n % 10])


def test_the_stub_costs_little(tmp_path: Path) -> None:
    """At 250/s, half of what the load test must bear, for a machine that is busy; in CPU time."""
    bodies = [body(number) for number in range(1000)]

    async def load(url: str) -> None:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=url, limits=limits, trust_env=False, timeout=30) as client:
            await offer(lambda number: client.post("/v1/enrich", content=bodies[number]), evenly(250.0, 1000))

    with stub_ingress(tmp_path) as stub:
        before = stub.counts()["cpu_s"]
        asyncio.run(load(stub.url))
        counts = stub.counts()
    assert counts["taken"] == 1000
    # 0.5 core at 500/s is 1 ms for an event.
    assert (counts["cpu_s"] - before) / 1000 < 0.001


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.real)])
def kafka(request: pytest.FixtureRequest) -> KafkaServer:
    name = "embedded_kafka" if request.param == "embedded" else "real_kafka_server"
    server: KafkaServer = request.getfixturevalue(name)
    return server


def test_the_worker_stub_loses_repeats_and_answers_twice(kafka: KafkaServer, tmp_path: Path) -> None:
    version = ".".join(map(str, kafka.api_version)) if kafka.api_version else None
    settings = ConsumerSettings(
        bootstrap=kafka.bootstrap,
        api_version=version,
        group=unique("stub"),
        topics=(kafka.new_topic("new", 2),),
        results_topic=kafka.new_topic("results", 2),
        dead_topic=kafka.new_topic("dead", 1),
    )
    env = {f"VITRINE_CONSUMERS_{name.upper()}": value for name, value in told(settings).items() if value}
    producer = KafkaProducer(**kafka.client())
    for number in range(100):
        sent = message(number)
        producer.send(settings.topics[0], key=sent.key, value=sent.value, headers=list(sent.headers))
    producer.send(settings.topics[0], key=b"k", value=b"{")
    producer.flush()
    producer.close()
    with stub_worker(tmp_path, env, Mischief(lose=10, twice=7, repeat=3)) as stub:
        deadline = time.monotonic() + 60
        while stub.counts().get("taken", 0) + stub.counts().get("bad", 0) < 101:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        counts = stub.counts()
    visible, seen, hidden = Visible(), Counter[str](), 0
    with LogReader(settings) as reader:
        for record in reader.read(reader.bounds(reader.partitions(settings.results_topic))):
            event = parse_result(record.value)
            assert event is not None
            shown = visible.show(event)
            hidden += shown is None
            seen[event.data.event_id] += shown is not None
        letters = list(reader.read(reader.bounds(reader.partitions(settings.dead_topic))))
    assert 100 - len(seen) == counts["lose"] == 10
    assert sum(many == 2 for many in seen.values()) == counts["twice"] == len([n for n in range(7, 101, 7) if n % 10])
    assert hidden == counts["repeat"] > 0
    assert [dict(letter.headers)["vitrine-error-code"] for letter in letters] == [b"invalid_json"]


def told(settings: ConsumerSettings) -> dict[str, str | None]:
    plain = {name: getattr(settings, name) for name in ("bootstrap", "api_version", "group")}
    return {
        **plain,
        "topics": settings.topics[0],
        "results_topic": settings.results_topic,
        "dead_topic": settings.dead_topic,
    }


# From here on through the command line.


def loadtest(
    *arguments: object, env: dict[str, str] | None = None, timeout_s: float = 200
) -> subprocess.CompletedProcess[str]:
    command = [PROGRAM, "loadtest", *map(str, arguments)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=timeout_s, env={**os.environ, **(env or {})}
    )


def http(folder: Path, stub: Stub, *more: object, slo: str = "loss: 0\n") -> Sequence[object]:
    """Options of a run against the stub."""
    (folder / "mix.yaml").write_text(BARE)
    (folder / "slo.yaml").write_text(slo)
    files = ("--mix", folder / "mix.yaml", "--slo", folder / "slo.yaml", "--out", folder / "out")
    return ("--driver", "http", "--serve-url", stub.url, "--seed", 1, *files, *more)


def ran(folder: Path, done: subprocess.CompletedProcess[str], code: int) -> RunDocument:
    """What the run wrote. It ends with this code, or where the machine was too busy to send in time, and only then, 2.

    What was lost, doubled or late is told either way.
    """
    assert (folder / "out" / "run.json").is_file(), done.stderr
    found = RunDocument.model_validate_json((folder / "out" / "run.json").read_bytes())
    assert done.returncode == (code if found.valid else 2), done.stderr
    assert all("lag" in reason for reason in found.invalid), found.invalid
    assert found.slo.met is (code == 0)
    return found


SHORT = ("--warmup", 0, "--drain", 5)


@pytest.mark.parametrize(
    ("mischief", "slo", "code"),
    [
        (Mischief(), "loss: 0\n", 0),
        (Mischief(lose=50), "loss: 0\n", 1),
        (Mischief(twice=50), "visible_twice: 0\n", 1),
        (Mischief(wrong=50, refuse=40), "unexpected: 0\n", 1),
    ],
    ids=["honest", "loses", "answers twice", "answers wrongly and refuses"],
)
def test_what_the_stub_does_stands_in_the_ledger(mischief: Mischief, slo: str, code: int, tmp_path: Path) -> None:
    with stub_ingress(tmp_path, mischief) as stub:
        done = loadtest("run", "--rate", 100, "--duration", 6, *SHORT, *http(tmp_path, stub, "--json", slo=slo))
        counts = stub.counts()
    found = ran(tmp_path, done, code)
    assert RunDocument.model_validate_json(done.stdout) == found
    ledger = found.ledger
    assert ledger.sent == counts["requests"]
    assert ledger.missing == counts["lose"]
    assert ledger.visible_twice == counts["twice"]
    assert ledger.dead == counts["refuse"]
    assert ledger.unexpected == counts["wrong"] + counts["refuse"]
    assert (counts["lose"] > 0, counts["twice"] > 0) == (mischief.lose > 0, mischief.twice > 0)


class ClosedLoop(threading.Thread):
    """One client that waits for each answer before it sends the next: it sees a freeze once."""

    def __init__(self, stub: Stub, pause_s: float) -> None:
        super().__init__(daemon=True)
        self._stub, self._pause_s = stub, pause_s
        self.latencies_s: list[float] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        # The stub's time begins with its first event, which must be one of the load test.
        while not self._stub.counts().get("taken") and not self.stopped.wait(0.1):
            pass
        with httpx.Client(base_url=self._stub.url, trust_env=False, timeout=30) as client:
            number = 10**6
            while not self.stopped.wait(self._pause_s):
                number += 1
                began = time.monotonic()
                client.post("/v1/enrich", content=body(number)).raise_for_status()
                self.latencies_s.append(time.monotonic() - began)

    def percentile(self, share: float) -> float:
        return sorted(self.latencies_s)[int(len(self.latencies_s) * share)]


def test_a_freeze_is_told_as_long_as_it_was_for_everybody_who_came_meanwhile(tmp_path: Path) -> None:
    """Coordinated omission. 100/s for 20 s, of which 2 s are frozen and drain at once: of 2,000 events 200 wait between
    0 and 2 s, evenly. So p95 is 1.0 s and p99 1.8 s; who waits for answers sees one slow one."""
    with stub_ingress(tmp_path, Mischief(freeze_at=8.0, freeze_for=2.0)) as stub:
        beside = ClosedLoop(stub, 0.01)
        beside.start()
        options = http(tmp_path, stub, "--arrivals", "constant", *SHORT)
        done = loadtest("run", "--rate", 100, "--duration", 20, *options)
        beside.stopped.set()
        beside.join(10)
    latency = ran(tmp_path, done, 0).latency_ms
    assert p95_ms(tmp_path) == pytest.approx(1000, rel=0.1)
    assert latency.p99 == pytest.approx(1800, rel=0.1)
    assert beside.percentile(0.95) < 0.5
    assert beside.percentile(0.99) < 0.5


def p95_ms(folder: Path) -> float:
    stretches = read_hlog(folder / "out" / "run.hlog")["intended"]
    seen = [np.repeat(one.values, one.counts) for one in stretches]
    return float(np.percentile(np.concatenate(seen), 95)) / 1000


def test_a_stub_that_is_slow_now_and_then_is_seen_in_the_tail_and_in_the_course(tmp_path: Path) -> None:
    """Once a minute in real life; here once in 5 s, so that the test is short."""
    with stub_ingress(tmp_path, Mischief(slow_every=5.0, slow_for=0.5)) as stub:
        done = loadtest("run", "--rate", 100, "--duration", 12, *http(tmp_path, stub, *SHORT))
    found = ran(tmp_path, done, 0)
    assert found.latency_ms.p50 is not None
    assert found.latency_ms.p99 is not None
    assert found.latency_ms.p50 < 100 < 250 < found.latency_ms.p99
    slow = [at for at, p99 in zip(found.series.at_s, found.series.p99_ms, strict=True) if p99 and p99 > 250]
    assert {round(at / 5) for at in slow} <= {1, 2, 3}
    assert slow


def test_a_capped_rate_is_found_within_5_percent_in_ten_probes(tmp_path: Path) -> None:
    with stub_ingress(tmp_path, Mischief(cap=80.0)) as stub:
        options = http(tmp_path, stub, "--drain", 20, "--warmup", 1, slo="latency_ms: {p50: 250}\nloss: 0\n")
        span = ("--low", 20, "--high", 400, "--probe-duration", 6, "--arrivals", "constant")
        done = loadtest("search", *span, *options, "--json", timeout_s=290)
    assert done.returncode == 0, done.stderr
    found = SearchDocument.model_validate_json(done.stdout)
    assert found.capacity == pytest.approx(80.0, rel=0.05)
    assert len(found.probes) <= 10


def test_a_generator_that_was_stopped_makes_the_run_invalid(tmp_path: Path) -> None:
    """SIGSTOP for 300 ms is a lag p99 far above 10 ms at any rate: 3 % of 10 s."""
    with stub_ingress(tmp_path) as stub:
        options = http(tmp_path, stub, *SHORT, "--json")
        command = [PROGRAM, "loadtest", "run", "--rate", "100", "--duration", "10", *map(str, options)]
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while not stub.counts().get("taken"):
            assert run.poll() is None, run.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(2)
        generator = the_generator(run.pid)
        os.kill(generator, signal.SIGSTOP)
        time.sleep(0.3)
        os.kill(generator, signal.SIGCONT)
        out, err = run.communicate(timeout=60)
    assert run.returncode == 2, err
    found = RunDocument.model_validate_json(out)
    assert not found.valid
    assert any("lag" in reason for reason in found.invalid)
    assert "INVALID" in err


def the_generator(parent: int) -> int:
    """The process that sends, among the children of the run and their children."""
    for entry in Path("/proc").iterdir():
        ours = entry.name.isdigit() and descends(int(entry.name), parent)
        if ours and b"loadtest.sending.generator" in (entry / "cmdline").read_bytes():
            return int(entry.name)
    raise AssertionError("there is no generator")


def descends(pid: int, from_: int) -> bool:
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
        if pid == from_:
            return True
    return False


def test_percentiles_with_too_few_samples_are_withheld_and_the_run_is_valid(tmp_path: Path) -> None:
    with stub_ingress(tmp_path) as stub:
        done = loadtest("run", "--rate", 20, "--duration", 5, *http(tmp_path, stub, *SHORT))
    found = ran(tmp_path, done, 0)
    assert found.latency_ms.p50 is not None
    # A p99 needs 662 samples.
    assert found.latency_ms.p99 is None
    assert "p99" in found.latency_ms.withheld


def test_nobody_there_is_no_verdict(tmp_path: Path) -> None:
    stub = Stub(pid=0, mischief=Mischief(), url="http://127.0.0.1:1")
    done = loadtest("run", "--rate", 20, "--duration", 5, *http(tmp_path, stub, *SHORT, "--json"))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")


def test_ctrl_c_writes_what_was_measured(tmp_path: Path) -> None:
    with stub_ingress(tmp_path) as stub:
        options = http(tmp_path, stub, *SHORT)
        command = [PROGRAM, "loadtest", "run", "--rate", "50", "--duration", "60", *map(str, options)]
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while stub.counts().get("taken", 0) < 100:
            assert run.poll() is None, run.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    found = RunDocument.model_validate_json((tmp_path / "out" / "run.json").read_bytes())
    assert not found.valid
    assert any(reason.startswith("interrupted") for reason in found.invalid)
    assert found.ledger.sent >= 100


def test_a_worker_that_misbehaves_is_found_through_kafka(embedded_kafka: KafkaServer, tmp_path: Path) -> None:
    """The whole way of the events, with a stub in the place of the workers."""
    mischief = Mischief(lose=50, twice=40, repeat=30)
    settings = ConsumerSettings(
        bootstrap=embedded_kafka.bootstrap,
        api_version=".".join(map(str, embedded_kafka.api_version or ())) or None,
        group=unique("stub"),
        topics=(embedded_kafka.new_topic("new", 2),),
        results_topic=embedded_kafka.new_topic("results", 2),
        dead_topic=embedded_kafka.new_topic("dead", 1),
    )
    env = {f"VITRINE_CONSUMERS_{name.upper()}": value for name, value in told(settings).items() if value}
    # The embedded Kafka makes a topic when somebody asks for it.
    with closing(KafkaProducer(**embedded_kafka.client())) as producer:
        for topic in (*settings.topics, settings.results_topic, settings.dead_topic):
            assert producer.partitions_for(topic)
    (tmp_path / "mix.yaml").write_text(f"{BARE}topics: {{{settings.topics[0]}: 1}}\n")
    with stub_worker(tmp_path, env, mischief) as stub:
        files = ("--mix", tmp_path / "mix.yaml", "--out", tmp_path / "out")
        given = ("--bootstrap", embedded_kafka.bootstrap)
        done = loadtest("run", "--rate", 50, "--duration", 8, *SHORT, *files, *given, env=env)
        counts = stub.counts()
    found = ran(tmp_path, done, 1)
    assert min(counts["lose"], counts["twice"], counts["repeat"]) > 0
    assert (found.ledger.missing, found.ledger.visible_twice, found.ledger.repeats_hidden) == (
        counts["lose"],
        counts["twice"],
        counts["repeat"],
    )
