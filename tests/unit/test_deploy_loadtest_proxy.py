"""The proxy spoils connections as it is told: effects against a clock of the test, the rest over real sockets."""

import asyncio
import random
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from deploy.errors import DeployError
from deploy.loadtest.faults.store_front import StoreFront
from deploy.loadtest.proxy.__main__ import obey
from deploy.loadtest.proxy.server import Proxy
from deploy.loadtest.proxy.toxics import (
    EFFECTS,
    Bandwidth,
    Effect,
    Latency,
    LimitData,
    Line,
    ResetPeer,
    Slicer,
    SlowClose,
    Stream,
    Timeout,
    Toxic,
)
from deploy.services.buckets import s3_client
from deploy.services.ports import free_ports

PATIENCE_S = 20


class Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while chunk := self.request.recv(65536):
            self.request.sendall(chunk)


@pytest.fixture
def echo_port() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(echo_port: int) -> Iterator[Proxy]:
    with Proxy(echo_port, seed=7) as running:
        yield running


@contextmanager
def connection(proxy: Proxy) -> Iterator[socket.socket]:
    with closing(socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S)) as client:
        yield client


def received(client: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size and (chunk := client.recv(65536)):
        got += chunk
    return got


def echoed(client: socket.socket, sent: bytes) -> bytes:
    threading.Thread(target=client.sendall, args=(sent,)).start()
    return received(client, len(sent))


class Recorder:
    """A line whose time passes by pausing alone."""

    def __init__(self, seed: int = 1) -> None:
        self.time = 100.0
        self.line = Line(chance=random.Random(seed), pause=self._pause, arrived=100.0, now=lambda: self.time)

    async def _pause(self, seconds: float) -> None:
        self.time += max(0.0, seconds)

    def put_through(self, effect: Effect, chunk: bytes) -> list[tuple[float, bytes]]:
        async def run() -> list[tuple[float, bytes]]:
            return [(self.time - 100.0, piece) async for piece in effect.through(chunk, self.line)]

        return asyncio.run(run())

    def closed_after(self, effect: Effect) -> float:
        asyncio.run(effect.before_close(self.line))
        return self.time - 100.0


@given(st.binary(min_size=1, max_size=500), st.integers(1, 50), st.integers(0, 49), st.integers(0, 9))
def test_no_byte_is_lost_or_moved_by_slicing(chunk: bytes, size: int, variation: int, seed: int) -> None:
    pieces = Recorder(seed).put_through(Slicer(average_size=size, size_variation=variation, delay=1000), chunk)
    assert b"".join(piece for _, piece in pieces) == chunk
    assert all(0 < len(piece) <= size + variation for _, piece in pieces)
    assert pieces[-1][0] == pytest.approx(0.001 * (len(pieces) - 1))


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 99))
def test_latency_counts_from_the_arrival_of_the_data(latency: int, jitter: int, seed: int) -> None:
    recorder = Recorder(seed)
    [(first, _)] = recorder.put_through(Latency(latency=latency, jitter=jitter), b"x")
    assert max(0, latency - jitter) / 1000 <= first + 1e-9
    assert first <= (latency + jitter) / 1000 + 1e-9
    # What came with the first is as late as the first, not twice as late.
    [(second, _)] = recorder.put_through(Latency(latency=latency), b"y")
    assert second == pytest.approx(max(first, latency / 1000))


def test_bandwidth_takes_the_time_that_the_bytes_take() -> None:
    pieces = Recorder().put_through(Bandwidth(rate=10), b"x" * 25_000)
    assert b"".join(piece for _, piece in pieces) == b"x" * 25_000
    assert pieces[-1][0] == pytest.approx(2.5)
    assert len(pieces) == 25


def test_slow_close_waits_and_only_with_the_end() -> None:
    assert Recorder().put_through(SlowClose(delay=700), b"x") == [(0.0, b"x")]
    assert Recorder().closed_after(SlowClose(delay=700)) == pytest.approx(0.7)
    assert Recorder().closed_after(Latency(latency=700)) == 0


def test_without_toxics_everything_passes(proxy: Proxy) -> None:
    sent = random.Random(1).randbytes(1_000_000)
    with connection(proxy) as client:
        assert echoed(client, sent) == sent
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""


@pytest.mark.parametrize("stream", list(Stream))
def test_toxics_of_both_directions_pass_all_bytes_in_order(proxy: Proxy, stream: Stream) -> None:
    sent = random.Random(1).randbytes(30_000)
    for effect in (Slicer(average_size=900, size_variation=300, delay=10), Latency(latency=5, jitter=5)):
        proxy.add(Toxic(effect=effect, stream=stream))
    proxy.add(Toxic(effect=Bandwidth(rate=100_000), stream=stream))
    with connection(proxy) as client:
        assert echoed(client, sent) == sent


def test_a_swallowing_line_gives_what_comes_after_its_toxic_is_gone(proxy: Proxy) -> None:
    with connection(proxy) as client:
        assert echoed(client, b"before") == b"before"
        proxy.add(Toxic(effect=Timeout(timeout=0), stream=Stream.UPSTREAM))
        client.sendall(b"lost")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(PATIENCE_S)
        proxy.remove("timeout_upstream")
        assert echoed(client, b"after") == b"after"


def test_removing_latency_frees_what_waits(proxy: Proxy) -> None:
    proxy.add(Toxic(effect=Latency(latency=3_600_000), name="asleep"))
    with connection(proxy) as client:
        client.sendall(b"hello")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(PATIENCE_S)
        proxy.remove("asleep")
        assert received(client, 5) == b"hello"


def test_timeout_closes_an_open_connection(proxy: Proxy) -> None:
    with connection(proxy) as client:
        assert echoed(client, b"hello") == b"hello"
        proxy.add(Toxic(effect=Timeout(timeout=50)))
        assert client.recv(1) == b""


def test_reset_peer_resets(proxy: Proxy) -> None:
    with connection(proxy) as client:
        assert echoed(client, b"hello") == b"hello"
        proxy.add(Toxic(effect=ResetPeer()))
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_limit_data_closes_after_the_allowance(proxy: Proxy) -> None:
    proxy.add(Toxic(effect=LimitData(bytes=10)))
    with connection(proxy) as client:
        client.sendall(b"0123456789abcdef")
        assert received(client, 16) == b"0123456789"


def test_down_cuts_and_refuses_until_enabled(proxy: Proxy) -> None:
    with connection(proxy) as client:
        assert echoed(client, b"hello") == b"hello"
        proxy.disable()
        with pytest.raises(OSError), connection(proxy):
            pass
        assert client.recv(1) == b""
    proxy.enable()
    with connection(proxy) as client:
        assert echoed(client, b"again") == b"again"


def test_redirected_connections_go_elsewhere_and_the_old_ones_are_cut(proxy: Proxy) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as elsewhere, connection(proxy) as old:
        assert echoed(old, b"hello") == b"hello"
        proxy.redirect(elsewhere.getsockname()[1])
        assert old.recv(1) == b""
        with connection(proxy) as client:
            with closing(elsewhere.accept()[0]) as accepted:
                accepted.sendall(b"elsewhere")
            assert received(client, 9) == b"elsewhere"


def test_a_store_that_denies_answers_403_to_every_method(echo_port: int) -> None:
    with StoreFront(echo_port) as front:
        front.deny()
        client = s3_client(f"http://127.0.0.1:{front.port}", "key", "secret", "us-east-1")
        with pytest.raises(ClientError, match="AccessDenied"):
            client.put_object(Bucket="b", Key="k", Body=b"x" * 100_000)
        with pytest.raises(ClientError, match="403"):
            client.head_object(Bucket="b", Key="k")
        front.reset()
        with closing(socket.create_connection(("127.0.0.1", front.port), timeout=PATIENCE_S)) as plain:
            assert echoed(plain, b"hello") == b"hello"


def test_a_throttled_store_says_slow_down(echo_port: int) -> None:
    with StoreFront(echo_port) as front:
        front.deny()
        front.throttle()
        client = s3_client(f"http://127.0.0.1:{front.port}", "key", "secret", "us-east-1")
        with pytest.raises(ClientError, match="SlowDown") as caught:
            client.put_object(Bucket="b", Key="k", Body=b"x" * 100_000)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        front.reset()
        with closing(socket.create_connection(("127.0.0.1", front.port), timeout=PATIENCE_S)) as plain:
            assert echoed(plain, b"hello") == b"hello"


def test_toxicity_is_a_share_of_the_connections(proxy: Proxy) -> None:
    proxy.add(Toxic(effect=LimitData(bytes=0), toxicity=0.5))
    fates = []
    for _ in range(40):
        with connection(proxy) as client:
            client.sendall(b"x")
            fates.append(client.recv(1))
    assert 5 < fates.count(b"x") < 35


def test_a_server_that_is_away_closes_the_connection() -> None:
    with Proxy(free_ports(1)[0]) as proxy, connection(proxy) as client, suppress(ConnectionResetError):
        assert client.recv(1) == b""


def test_one_name_one_toxic(proxy: Proxy) -> None:
    proxy.add(Toxic(effect=Latency()))
    with pytest.raises(DeployError, match="latency_downstream"):
        proxy.add(Toxic(effect=Latency(latency=3)))
    proxy.reset()
    assert proxy.toxics == []


@pytest.mark.parametrize("kind", EFFECTS)
def test_toxics_travel_as_toxiproxy_writes_them(kind: str) -> None:
    toxic = Toxic(effect=EFFECTS[kind](), stream=Stream.UPSTREAM, toxicity=0.25)
    document = toxic.to_json()
    assert document["name"] == f"{kind}_upstream"
    assert document["type"] == kind
    assert Toxic.from_json(document).to_json() == document


def test_commands_and_their_faults(proxy: Proxy) -> None:
    obey(proxy, '{"add": {"type": "latency", "attributes": {"latency": 5}}}')
    assert [toxic.title for toxic in proxy.toxics] == ["latency_downstream"]
    obey(proxy, '{"remove": "latency_downstream"}')
    assert proxy.toxics == []
    faults = ["no json", "[]", '{"add": {"type": "rust"}}', '{"add": {"type": "latency", "attributes": {"ms": 5}}}']
    for fault in faults:
        with pytest.raises(DeployError):
            obey(proxy, fault)


def test_as_a_process_of_its_own(echo_port: int) -> None:
    [port] = free_ports(1)
    command = [sys.executable, "-m", "deploy.loadtest.proxy", str(port), str(echo_port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        with closing(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)) as client:
            assert echoed(client, b"hello") == b"hello"
            process.stdin.write('{"enabled": false}\n')
            process.stdin.flush()
            assert client.recv(1) == b""
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0
