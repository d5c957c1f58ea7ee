"""Child processes of a run: what they saw is never lost, their death is told, and they die with their parent."""

import gzip
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import ServiceFailed
from deploy.loadtest.measuring.observations import Letter, Observation, Sent, Taken
from deploy.loadtest.options import DriverKind
from deploy.loadtest.sending.feeds import Generator, Receiver
from deploy.loadtest.sending.interface import GeneratorSpec, ReceiverSpec
from deploy.loadtest.sending.wire import Outbox, Report, Threshold
from deploy.services.processes import start_mark


def wait_for(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def written(path: Path, times: Sequence[float]) -> Path:
    """A schedule of poison, which the HTTP driver answers by itself."""
    head = {"format": "vitrine.loadtest.schedule/1", "seed": 1, "rate": 1.0, "duration_s": 9.0, "arrivals": "poisson"}
    with gzip.open(path, "wt") as file:
        file.write(json.dumps(head | {"count": len(times)}) + "\n")
        for number, at in enumerate(times, 1):
            line: dict[str, Any] = {
                "lane": number % 5,
                "at": at,
                "number": number,
                "topic": "new",
                "key": f"k-{number}",
            }
            line |= {"kind": "bad", "event_id": f"e-{number}", "listing": None, "revision": 0, "loose": False}
            body = {"value_base64": "//4A"} if number == 1 else {"value": "{"}
            file.write(json.dumps(line | {"images": 0} | body) + "\n")
    return path


class _Capacity(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Capacity)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def spec(schedule: Path, url: str, **more: int) -> GeneratorSpec:
    env = {"VITRINE_CONSUMERS_SERVE_URL": url}
    return GeneratorSpec(driver=DriverKind.HTTP, schedule=schedule, env=env, **more)


@contextmanager
def generator(told: GeneratorSpec, folder: Path) -> Iterator[Generator]:
    child = Generator(told, folder)
    child.start()
    try:
        wait_for(child.ready)
        yield child
    finally:
        child.stop()


def test_a_parent_that_is_away_stops_nobody_and_loses_nothing() -> None:
    ours, theirs = multiprocessing.Pipe()
    box = Outbox(theirs)
    box.start()
    # Far more than fits into the pipe.
    for number in range(60_000):
        box.put(Sent(number, number))
    box.ready = True
    seen: list[Observation] = []
    while len(seen) < 60_000:
        report: Report = ours.recv()
        seen += report.seen
    assert [one.number for one in seen if isinstance(one, Sent)] == list(range(60_000))
    while not report.ready:
        report = ours.recv()
    box.close()


def test_the_end_is_told_after_everything_that_came_before_it() -> None:
    ours, theirs = multiprocessing.Pipe()
    done = threading.Event()
    box = Outbox(theirs, done.is_set)
    for number in range(3_000):
        box.put(Sent(number, 0))
    done.set()
    box.start()
    reports: list[Report] = [ours.recv()]
    while not reports[-1].finished:
        reports.append(ours.recv())
    box.close()
    assert sum(len(one.seen) for one in reports) == 3_000


def test_nobody_is_awaited_who_has_died() -> None:
    threshold = Threshold()
    assert threshold.accept(lambda: False) is None
    assert not Path(threshold.address).exists()


def test_a_generator_sends_its_schedule_and_reports(tmp_path: Path, url: str) -> None:
    times = [0.05 * number for number in range(30)]
    with generator(spec(written(tmp_path / "s", times), url), tmp_path) as child:
        assert not child.finished
        assert child.read() == []
        start_ns = time.monotonic_ns() + 300_000_000
        child.go(start_ns)
        wait_for(lambda: child.finished)
        seen = list(child.read())
        assert child.cpu_s > 0
        (own,) = child.processes()["generator-1"]
    assert start_mark(own.pid) is None
    sent = {one.number: one.at_ns for one in seen if isinstance(one, Sent)}
    assert sorted(sent) == list(range(1, 31))
    assert all(at_ns >= start_ns + times[number - 1] * 1e9 - 1 for number, at_ns in sent.items())
    assert sum(isinstance(one, Taken) for one in seen) == 30
    assert {one.code for one in seen if isinstance(one, Letter)} == {"invalid_json"}


def test_a_generator_that_is_stopped_says_what_it_saw(tmp_path: Path, url: str) -> None:
    with generator(spec(written(tmp_path / "s", [0.0, 0.0, 3_600.0]), url), tmp_path) as child:
        child.go(time.monotonic_ns())
        seen: list[Observation] = []
        wait_for(lambda: seen.extend(child.read()) or seen)
    assert not child.finished
    seen += child.read()
    assert [one.number for one in seen if isinstance(one, Sent)] == [1, 2]
    # A second time, and after its end: nothing, and no complaint.
    child.stop()
    assert child.read() == []


def test_a_generator_that_dies_is_told_with_the_end_of_its_log(tmp_path: Path, url: str) -> None:
    with generator(spec(written(tmp_path / "s", [0.0, 3_600.0]), url), tmp_path) as child:
        child.go(time.monotonic_ns())
        (own,) = child.processes()["generator-1"]
        seen: list[Observation] = []
        wait_for(lambda: seen.extend(child.read()) or any(isinstance(one, Letter) for one in seen))
        (tmp_path / "generator-1.log").write_text("its last words")
        os.kill(own.pid, signal.SIGKILL)
        with pytest.raises(ServiceFailed, match=r"generator-1 ended(.|\n)*its last words"):
            wait_for(child.read)
        with pytest.raises(ServiceFailed):
            child.ready()


def test_a_generator_that_cannot_connect_says_why(tmp_path: Path) -> None:
    child = Generator(spec(written(tmp_path / "s", [0.0]), "http://127.0.0.1:9"), tmp_path)
    child.start()
    try:
        with pytest.raises(ServiceFailed, match="no event can be sent to Serve at"):
            wait_for(child.ready)
    finally:
        child.stop()


def test_what_never_started_can_be_stopped(tmp_path: Path) -> None:
    Receiver(ReceiverSpec(), tmp_path).stop()


PARENT = """
import sys, time
from pathlib import Path
from deploy.loadtest.options import DriverKind
from deploy.loadtest.sending.feeds import Generator
from deploy.loadtest.sending.interface import GeneratorSpec

schedule, url, folder = sys.argv[1:]
env = {"VITRINE_CONSUMERS_SERVE_URL": url}
child = Generator(GeneratorSpec(driver=DriverKind.HTTP, schedule=Path(schedule), env=env), Path(folder))
child.start()
while not child.ready():
    time.sleep(0.02)
print(child.processes()["generator-1"][0].pid, flush=True)
time.sleep(600)
"""


def test_children_die_with_a_parent_that_is_killed(tmp_path: Path, url: str) -> None:
    schedule = written(tmp_path / "s", [0.0])
    command = [sys.executable, "-c", PARENT, str(schedule), url, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert start_mark(pid) is not None
        parent.kill()
    wait_for(lambda: start_mark(pid) is None)
