"""What drivers report of events: over a Kafka client that fails as told, and a door of Serve that answers as told."""

import errno
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError, NotLeaderForPartitionError, UnknownProducerIdError
from kafka.future import Future

from consumers.settings import ConsumerSettings
from deploy.errors import ServiceFailed
from deploy.loadtest.measuring.observations import Answer, Letter, Observation, Place, Sent, Taken, Unsent
from deploy.loadtest.sending import studio_host
from deploy.loadtest.sending.http_driver import HttpDriver
from deploy.loadtest.sending.kafka_driver import KafkaDriver
from deploy.loadtest.workload.planned import NUMBER, Kind, Planned
from tests.support.web import self_signed

T = TypeVar("T")


def wait_for(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


def of(kind: type[T], seen: list[Observation]) -> list[T]:
    return [one for one in seen if isinstance(one, kind)]


def event(number: int, value: bytes = b"{}", topic: str = "new") -> Planned:
    return Planned(number=number, topic=topic, key=b"k", value=value, kind=Kind.BARE, event_id=f"e-{number}")


class ToyProducer:
    """A `KafkaProducer` whose topics come and go, and whose acknowledgements come when told."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.known = {"new"}
        self.sent: list[tuple[int, Future]] = []
        self.refuse: Exception | None = None
        self.closed = False

    def partitions_for(self, topic: str) -> set[int]:
        if topic not in self.known:
            raise KafkaTimeoutError("no metadata")
        return {0}

    def send(self, topic: str, *, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> Future:
        self.partitions_for(topic)
        if self.refuse is not None:
            raise self.refuse
        future = Future()
        self.sent.append((int(dict(headers)[NUMBER]), future))
        return future

    def acknowledge(self) -> None:
        for offset, (_, future) in enumerate(self.sent):
            if not future.is_done:
                future.success(SimpleNamespace(topic="new", partition=0, offset=offset))

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self.sent]

    def close(self, timeout: float | None = None) -> None:
        self.closed = True


class Kafka:
    """A driver over toy producers, and what it reported."""

    def __init__(self, **options: Any) -> None:
        self.producers: list[ToyProducer] = []
        self.seen: list[Observation] = []

        def connect(**given: Any) -> Any:
            self.producers.append(ToyProducer(**given))
            return self.producers[-1]

        settings = ConsumerSettings(topics=("new",))
        self.driver = KafkaDriver(settings, self.seen.append, connect=connect, **options)
        self.driver.warm()

    @property
    def producer(self) -> ToyProducer:
        return self.producers[-1]


@contextmanager
def kafka(**options: Any) -> Iterator[Kafka]:
    world = Kafka(**options)
    try:
        yield world
    finally:
        world.driver.close()


def test_an_event_is_sent_and_then_taken_at_its_place() -> None:
    with kafka() as world:
        world.driver.send(event(5))
        assert (world.driver.pending, of(Taken, world.seen)) == (1, [])
        world.producer.acknowledge()
        assert [one.number for one in of(Sent, world.seen)] == [5]
        assert [(one.number, one.place) for one in of(Taken, world.seen)] == [(5, Place("new", 0, 0))]
        assert world.driver.pending == 0
        assert world.producer.options["enable_idempotence"]
        assert world.producer.options["acks"] == "all"


def test_a_topic_that_is_forgotten_holds_up_nobody_and_no_event_is_overtaken() -> None:
    with kafka() as world:
        world.driver.send(event(1))
        world.producer.known.clear()
        before = time.monotonic()
        for number in range(2, 300):
            world.driver.send(event(number))
        assert time.monotonic() - before < 5
        assert world.producer.numbers == [1]
        world.producer.known.add("new")
        # They come while others are on their way round.
        for number in range(300, 400):
            world.driver.send(event(number))
        wait_for(lambda: len(world.producer.sent) == 399)
        assert world.producer.numbers == list(range(1, 400))
        world.producer.acknowledge()
        assert (world.driver.pending, of(Unsent, world.seen)) == (0, [])
        # The way is straight again: nobody else has a hand in it.
        wait_for(lambda: not world.driver.detouring)
        world.driver.send(event(400))
        assert world.producer.numbers[-1] == 400


def test_patience_with_a_forgotten_topic_ends() -> None:
    with kafka(patience_s=0.3) as world:
        world.producer.known.clear()
        world.driver.send(event(1))
        wait_for(lambda: world.driver.pending == 0)
        assert [(one.number, one.reason) for one in of(Unsent, world.seen)] == [(1, "not_acknowledged")]


def test_memory_is_bounded_and_free_again_after_acknowledgements() -> None:
    with kafka(most_bytes=350) as world:
        for number in range(1, 6):
            world.driver.send(event(number, b"x" * 99))
        assert [(one.number, one.reason) for one in of(Unsent, world.seen)] == [(4, "buffer_full"), (5, "buffer_full")]
        assert [one.number for one in of(Sent, world.seen)] == [1, 2, 3, 4, 5]
        world.producer.acknowledge()
        world.driver.send(event(6, b"x" * 99))
        assert world.producer.numbers == [1, 2, 3, 6]


def test_what_the_client_finds_too_large_is_unsent_and_harms_no_other() -> None:
    with kafka() as world:
        world.producer.refuse = MessageSizeTooLargeError("too large")
        world.driver.send(event(1))
        world.producer.refuse = None
        world.driver.send(event(2))
        assert [one.reason for one in of(Unsent, world.seen)] == ["message_too_large"]
        assert (world.producer.numbers, len(world.producers)) == ([2], 1)


def test_a_producer_of_no_further_use_is_replaced() -> None:
    with kafka() as world:
        world.driver.send(event(1))
        first = world.producer
        first.sent[0][1].failure(UnknownProducerIdError("gone"))
        world.driver.send(event(2))
        wait_for(lambda: world.producer is not first and world.producer.numbers == [2])
        assert first.closed
        assert [(one.number, one.reason) for one in of(Unsent, world.seen)] == [(1, "UnknownProducerIdError")]


def test_an_error_that_may_pass_replaces_no_producer() -> None:
    with kafka() as world:
        world.driver.send(event(1))
        world.producer.sent[0][1].failure(NotLeaderForPartitionError("moved"))
        world.driver.send(event(2))
        assert (len(world.producers), world.producer.numbers) == (1, [1, 2])


def test_a_kafka_that_cannot_be_reached_is_told_before_the_run() -> None:
    def nobody(**_: Any) -> Any:
        raise KafkaTimeoutError("bootstrap")

    with pytest.raises(ServiceFailed, match="no event can be sent to Kafka at"):
        KafkaDriver(ConsumerSettings(), [].append, connect=nobody).warm()


def listing(number: int) -> bytes:
    data = {"tenant_id": "t", "listing_id": f"l-{number}", "revision": 1}
    kind = "org.vitrine.catalog.listing.created.v1"
    document = {"specversion": "1.0", "id": f"e-{number}", "source": "//loadtest", "type": kind, "data": data}
    return json.dumps(document).encode()


def answer(number: int) -> bytes:
    result = {
        "event_id": f"e-{number}",
        "event_source": "//loadtest",
        "tenant_id": "t",
        "listing_id": f"l-{number}",
        "revision": 1,
        "outcome": "rejected",
        "code": "no_images",
        "finished_at": "2026-11-22T12:00:00Z",
        "vitrine_version": "1",
    }
    return json.dumps({"kind": "result", "ref": number, "result": result}).encode() + b"\n"


class Script:
    """How the door answers events by number; by default well, in two pieces with a blank line before."""

    def __init__(self) -> None:
        self.ways: dict[int, Callable[[_Door, int], None]] = {}
        self.bodies: list[Any] = []
        self.connections: set[Any] = set()
        self.tokens: set[str | None] = set()


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    script: Script

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        assert self.path == "/v1/capacity"
        self.whole(200, b"{}")

    def do_POST(self) -> None:
        assert self.path == "/v1/enrich"
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.script.bodies.append(body)
        self.script.connections.add(self.client_address)
        self.script.tokens.add(self.headers["authorization"])
        number = body["items"][0]["ref"]
        self.script.ways.get(number, _Door.well)(self, number)

    def whole(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin(self) -> None:
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def piece(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def end(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def well(self, number: int) -> None:
        line = answer(number)
        self.begin()
        for piece in (b"\n", line[:20], line[20:]):
            self.piece(piece)
        self.end()

    def twice(self, number: int) -> None:
        self.begin()
        self.piece(answer(number) * 2)
        self.end()

    def error(self, number: int, code: str = "store_unavailable") -> None:
        error = {"code": code, "retry": "transient", "message": "no store"}
        self.begin()
        self.piece(json.dumps({"kind": "error", "ref": number, "error": error}).encode() + b"\n")
        self.end()

    def overtaken(self, number: int) -> None:
        self.error(number, "object_busy")

    def overtaken_once(self, number: int) -> None:
        (self.overtaken if len(self.script.bodies) == 1 else self.well)(number)

    def overtaken_and_away(self, number: int) -> None:
        (self.overtaken if len(self.script.bodies) == 1 else self.overloaded)(number)

    def nothing(self, _: int) -> None:
        self.begin()
        self.end()

    def nonsense(self, _: int) -> None:
        self.begin()
        self.piece(b'{"kind": "greeting"}\n')
        self.end()

    def broken(self, _: int) -> None:
        self.begin()
        self.piece(b"\n")
        self.close_connection = True

    def broken_later(self, number: int) -> None:
        self.begin()
        self.piece(answer(number))
        self.close_connection = True

    def silent(self, _: int) -> None:
        self.begin()
        time.sleep(1.5)
        self.close_connection = True

    def overloaded(self, _: int) -> None:
        self.whole(503, b'{"error": {"code": "overloaded", "message": "no room"}}')

    def proxy_error(self, _: int) -> None:
        self.whole(502, b"<html>")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@contextmanager
def door(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    server = _Server(("127.0.0.1", 0), type("Door", (_Door,), {"script": script}))
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextmanager
def http(url: str, **settings: Any) -> Iterator[tuple[HttpDriver, list[Observation]]]:
    seen: list[Observation] = []
    driver = HttpDriver(ConsumerSettings(serve_url=url, **settings), seen.append)
    driver.warm()
    try:
        yield driver, seen
    finally:
        driver.close()


def test_an_event_by_http_is_sent_taken_and_answered() -> None:
    script = Script()
    with door(script) as url, http(url, serve_token="secret") as (driver, seen):
        driver.send(event(7, listing(7)))
        wait_for(lambda: of(Answer, seen))
    assert [type(one) for one in seen] == [Sent, Taken, Answer]
    (found,) = of(Answer, seen)
    assert (found.place, found.event_id, found.code) == (Place("http", 0, 7), "e-7", "no_images")
    assert of(Sent, seen)[0].at_ns <= of(Taken, seen)[0].at_ns <= found.at_ns
    (body,) = script.bodies
    assert body["items"][0]["position"] == {"topic": "http", "partition": 0, "offset": 7}
    assert script.tokens == {"Bearer secret"}


def test_connections_are_used_again_and_there_are_as_many_as_open_events() -> None:
    script, gate = Script(), threading.Event()
    with door(script) as url, http(url) as (driver, seen):
        for number in range(1, 6):
            driver.send(event(number, listing(number)))
            wait_for(lambda n=number: len(of(Answer, seen)) == n)
            # The end of the answer comes after its line.
            wait_for(lambda: not driver.open)
        assert len(script.connections) == 1
        for number in range(6, 46):
            script.ways[number] = lambda one, n: (gate.wait(20), one.well(n))[0]
            driver.send(event(number, listing(number)))
        wait_for(lambda: len(script.bodies) == 45)
        assert driver.pending == 0
        assert len(script.connections) == 40
        gate.set()
        wait_for(lambda: len(of(Answer, seen)) == 45)


def test_a_kept_connection_that_was_closed_meanwhile_costs_no_event() -> None:
    script = Script()
    script.ways[1] = lambda one, n: (one.well(n), setattr(one, "close_connection", True))[0]
    with door(script) as url, http(url) as (driver, seen):
        for number in (1, 2):
            driver.send(event(number, listing(number)))
            wait_for(lambda n=number: len(of(Answer, seen)) == n)
    assert of(Letter, seen) == []


@pytest.mark.parametrize(
    ("way", "code"),
    [
        (_Door.error, "store_unavailable"),
        (_Door.overloaded, "overloaded"),
        (_Door.proxy_error, "http_502"),
        (_Door.broken, "connection_broken"),
        (_Door.silent, "silent"),
        (_Door.nonsense, "unreadable_line"),
    ],
)
def test_an_error_instead_of_an_answer_is_a_letter(way: Callable[[_Door, int], None], code: str) -> None:
    script = Script()
    script.ways[1] = way
    with door(script) as url, http(url, serve_idle_s=0.5) as (driver, seen):
        driver.send(event(1, listing(1)))
        wait_for(lambda: of(Letter, seen))
        # The others do not suffer.
        driver.send(event(2, listing(2)))
        wait_for(lambda: of(Answer, seen))
    assert [type(one) for one in seen[:3]] == [Sent, Taken, Letter]
    assert [(one.place, one.code) for one in of(Letter, seen)] == [(Place("http", 0, 1), code)]
    assert [one.number for one in of(Taken, seen)] == [1, 2]


@pytest.mark.parametrize(
    ("way", "code"),
    [
        (_Door.overtaken_once, None),
        (_Door.overtaken, "object_busy"),
        (_Door.overtaken_and_away, "overloaded"),
    ],
)
def test_an_event_that_a_deletion_overtook_is_sent_once_more(
    way: Callable[[_Door, int], None], code: str | None
) -> None:
    script = Script()
    script.ways[1] = way
    with door(script) as url, http(url) as (driver, seen):
        driver.send(event(1, listing(1)))
        wait_for(lambda: of(Letter, seen) or of(Answer, seen))
        wait_for(lambda: not driver.open)
    assert len(script.bodies) == 2
    assert script.bodies[0] == script.bodies[1]
    assert [one.code for one in of(Letter, seen)] == ([code] if code else [])
    assert len(of(Answer, seen)) == (0 if code else 1)


def test_an_event_that_is_answered_twice_has_two_answers() -> None:
    script = Script()
    script.ways[1] = _Door.twice
    with door(script) as url, http(url) as (driver, seen):
        driver.send(event(1, listing(1)))
        wait_for(lambda: len(of(Answer, seen)) == 2)
    assert {one.place for one in of(Answer, seen)} == {Place("http", 0, 1)}


def test_a_stream_without_our_line_says_nothing_and_a_break_after_it_neither() -> None:
    script = Script()
    script.ways |= {1: _Door.nothing, 2: _Door.broken_later}
    with door(script) as url, http(url) as (driver, seen):
        for number in (1, 2):
            driver.send(event(number, listing(number)))
        wait_for(lambda: of(Answer, seen) and not driver.open)
    assert [one.place.offset for one in of(Answer, seen)] == [2]
    assert of(Letter, seen) == []


def test_a_door_with_tls_is_believed_only_with_its_certificate(tmp_path: Path) -> None:
    context, _ = self_signed("localhost", tmp_path)
    pem = (tmp_path / "server.pem").read_text()
    (tmp_path / "ca.pem").write_text(pem[pem.index("-----BEGIN CERTIFICATE") :])
    with door(Script(), context) as url:
        with http(url, serve_cafile=str(tmp_path / "ca.pem")) as (driver, seen):
            driver.send(event(1, listing(1)))
            wait_for(lambda: of(Answer, seen))
        with pytest.raises(ServiceFailed, match="CERTIFICATE_VERIFY_FAILED"), http(url):
            pass


def test_poison_never_reaches_the_door() -> None:
    script = Script()
    with door(script) as url, http(url) as (driver, seen):
        driver.send(event(1, b"{"))
        wait_for(lambda: of(Letter, seen))
    assert script.bodies == []
    assert [type(one) for one in seen] == [Sent, Taken, Letter]
    assert of(Letter, seen)[0].code == "invalid_json"


def test_a_door_that_went_away_is_an_error_of_the_system_and_not_unsent() -> None:
    script, doors = Script(), ExitStack()
    with doors:
        url = doors.enter_context(door(script))
        with http(url) as (driver, seen):
            script.ways[1] = lambda one, n: (one.well(n), setattr(one, "close_connection", True))[0]
            driver.send(event(1, listing(1)))
            wait_for(lambda: of(Answer, seen))
            doors.close()
            driver.send(event(2, listing(2)))
            wait_for(lambda: of(Letter, seen))
    assert [one.code for one in of(Letter, seen)] == ["connect_failed"]
    assert of(Unsent, seen) == []
    with pytest.raises(ServiceFailed, match="no event can be sent to Serve"), http(url):
        pass


def test_without_a_file_descriptor_an_event_is_unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    with door(Script()) as url, http(url) as (driver, seen):
        driver.send(event(1, listing(1)))
        wait_for(lambda: of(Answer, seen) and not driver.open)
        driver.forget_connections()
        monkeypatch.setattr("asyncio.open_connection", refused)
        driver.send(event(2, listing(2)))
        wait_for(lambda: of(Unsent, seen))
    assert [(one.number, one.reason) for one in of(Unsent, seen)] == [(2, "no_file_descriptors")]
    assert of(Letter, seen) == []


def test_the_studio_in_process_takes_as_many_events_as_a_replica() -> None:
    told = (Path(studio_host.__file__).parents[2] / "serve.yaml").read_text()
    assert f"events_per_replica: {studio_host.events_at_once()}\n" in told
