"""Where the figures come from: pages of workers that come, go, hang and lie; Prometheus; the thread that looks."""

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from consumers.core.breaker import BreakerState
from consumers.core.status import Status
from consumers.records import TopicPartition
from consumers.shell.ends import End
from consumers.shell.metrics import Metrics
from serve.scaling.figures import Figures
from serve.scaling.page import BadPage, Page, read_page
from serve.scaling.prometheus import BadAnswer, queries, read_figures, read_value
from serve.scaling.settings import ScalingSettings
from serve.scaling.sources import Prometheus, Workers
from serve.scaling.tally import Tally
from serve.scaling.watch import Watch

TP = TopicPartition("listings.new", 0)
GIVEN = {"events_per_s": 1.0, "rate_window_s": 20, "stale_s": 20, "forget_s": 100, "timeout_s": 0.5}
SETTINGS = ScalingSettings.read({**GIVEN, "metrics_urls": ["http://w/metrics"]})


@pytest.fixture(autouse=True)
def _heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ray keeps what is logged below its own loggers to itself, once it is loaded."""
    log = logging.getLogger("ray.serve.scaling")
    monkeypatch.setattr(log, "propagate", False)
    log.addHandler(caplog.handler)
    yield
    log.removeHandler(caplog.handler)


def status(open_: int, in_flight: int) -> Status:
    return Status(
        in_flight=in_flight,
        buffered=0,
        buffered_bytes=0,
        paused=frozenset(),
        positions={TP: 0},
        window_used={},
        open={TP: open_},
        oldest_ms=None,
        oldest_new_ms=int((time.time() - 50) * 1000),
        breaker=BreakerState.CLOSED,
        unpublished=0,
        commits_unanswered=0,
    )


def real_page(metrics: Metrics | None = None, *, backlog: int = 7) -> str:
    metrics = metrics or Metrics()
    metrics.show(status(backlog, 2), {TP: End(1000, 0)})
    return generate_latest(metrics.registry).decode()


# -- one page --


def test_the_page_of_a_real_worker_is_read() -> None:
    page = read_page(real_page())
    assert page.backlog == {("listings.new", "0"): 7}
    assert (page.looks, page.in_flight, page.outage, page.arrivals) == (1, 2, False, 0)
    assert 50 <= page.oldest_s < 90
    assert page.worker != read_page(real_page()).worker


@pytest.mark.parametrize("bad", ["NaN", "-1", "+Inf", "1e300", "x", ""])
def test_a_page_with_senseless_numbers_is_refused(bad: str) -> None:
    text = real_page().replace("vitrine_consumer_in_flight 2.0", f"vitrine_consumer_in_flight {bad}")
    with pytest.raises(BadPage):
        read_page(text)


@pytest.mark.parametrize("name", ["worker", "looks_total", "served_total", "breaker"])
def test_a_page_without_one_of_the_figures_is_refused(name: str) -> None:
    text = "\n".join(line for line in real_page().splitlines() if not line.startswith(f"vitrine_consumer_{name}"))
    with pytest.raises(BadPage, match=name):
        read_page(text)


@given(st.text())
def test_any_text_is_a_page_or_a_bad_one(text: str) -> None:
    with pytest.raises(BadPage):
        read_page(text)


@given(st.integers(0, 4000), st.text(max_size=20))
def test_a_damaged_page_is_read_or_refused(place: int, scrap: str) -> None:
    text = real_page()
    try:
        page = read_page(text[:place] + scrap + text[place + 5 :])
    except BadPage:
        return
    assert page.in_flight >= 0


def test_a_page_without_end_is_refused() -> None:
    with pytest.raises(BadPage, match="lines"):
        read_page("\n" * 100_000)


# -- many pages --


def page(worker: str, looks: float, **more: object) -> Page:
    known = {"arrivals": 0.0, "served": 0.0, "in_flight": 0.0, "oldest_s": 0.0, "outage": False}
    return Page(worker=worker, looks=looks, **{**known, **more})


def told(*rounds: tuple[float, list[Page]]) -> Figures:
    tally = Tally(SETTINGS)
    for now, pages in rounds:
        figures = tally.take(pages, now)
    assert figures is not None
    return figures


A0, A1 = ("t", "0"), ("t", "1")


def test_several_workers_are_added_up() -> None:
    first = page("a", 1, backlog={A0: 5.0}, in_flight=1.0, oldest_s=3.0)
    second = page("b", 1, backlog={A1: 6.0}, in_flight=2.0, oldest_s=9.0)
    figures = told((0.0, [first, second]))
    assert (figures.backlog, figures.in_flight, figures.oldest_s) == (11, 3, 9)


def test_one_worker_under_two_addresses_counts_once() -> None:
    a = page("a", 1, backlog={A0: 5.0})
    later = page("a", 2, backlog={A0: 5.0}, arrivals=10.0)
    assert told((0.0, [a, a]), (20.0, [later, later])).arrival_rate == 0.5


def test_a_partition_that_moved_is_told_by_its_newest_owner() -> None:
    figures = told(
        (0.0, [page("a", 1, backlog={A0: 50.0, A1: 1.0})]),
        (5.0, [page("a", 2, backlog={A1: 1.0})]),
        (10.0, [page("a", 3, backlog={A1: 1.0}), page("b", 1, backlog={A0: 40.0})]),
    )
    assert (figures.backlog, figures.complete) == (41, True)


def test_a_worker_that_is_gone_counts_for_a_while_and_then_no_more() -> None:
    def after(seconds: float) -> Figures:
        return told(
            (0.0, [page("a", 1, backlog={A0: 50.0}, in_flight=3.0, oldest_s=99.0), page("b", 1, backlog={A1: 1.0})]),
            (seconds, [page("b", 2, backlog={A1: 1.0})]),
        )

    assert (after(15).backlog, after(15).complete, after(15).in_flight) == (51, True, 3)
    assert (after(50).backlog, after(50).complete, after(50).in_flight) == (51, False, 0)
    assert (after(101).backlog, after(101).complete, after(101).oldest_s) == (1, True, 0)


def test_rates_are_the_growth_of_all_counters_over_the_window() -> None:
    rounds = [(5.0 * n, [page("a", n, backlog={A0: 1.0}, arrivals=10.0 * n, served=5.0 * n)]) for n in range(40)]
    figures = told(*rounds)
    assert (figures.arrival_rate, figures.service_rate, figures.served) == (2.0, 1.0, 5.0)


def test_a_restart_takes_nothing_away() -> None:
    figures = told(
        (0.0, [page("a", 1, backlog={A0: 1.0}, arrivals=1000.0)]),
        (10.0, [page("a2", 1, backlog={A0: 1.0}, arrivals=0.0)]),
        (20.0, [page("a2", 2, backlog={A0: 1.0}, arrivals=40.0)]),
    )
    assert figures.arrival_rate == 2.0


def test_a_worker_that_answers_but_stands_still_tells_nothing() -> None:
    frozen = page("a", 7, backlog={A0: 50.0})
    figures = told((0.0, [frozen]), (5.0, [frozen]), (500.0, [frozen]))
    assert figures.at == 0.0


def test_a_worker_that_hangs_does_not_come_back_as_a_new_one() -> None:
    frozen = page("a", 7, backlog={A0: 50.0}, in_flight=8.0)
    rounds = [(5.0 * n, [frozen, page("b", n, backlog={A1: 2.0})]) for n in range(100)]
    figures = told(*rounds)
    assert (figures.backlog, figures.in_flight, figures.complete) == (2, 0, True)


def test_workers_without_partitions_know_nothing() -> None:
    assert Tally(SETTINGS).take([page("a", 1)], 0.0) is None


def test_one_worker_in_trouble_is_an_outage() -> None:
    assert told((0.0, [page("a", 1, outage=True, backlog={A0: 1.0}), page("b", 1)])).outage


# -- Prometheus --


def body(value: object = "3", **more: object) -> str:
    result = [] if value is None else [{"metric": {}, "value": [1.7e9, value]}]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}, **more})


def test_the_queries_name_what_they_are_asked_for() -> None:
    chosen = replaced(prometheus_selector='job="shop"', rate_window_s=90)
    asked = queries(chosen)
    assert asked["arrival_rate"] == 'sum(rate(vitrine_consumer_arrivals_total{job="shop"}[90s]))'
    assert asked["backlog"] == 'sum(max by (topic, partition) (vitrine_consumer_backlog{job="shop"}))'
    names = {query.split("vitrine_consumer_")[1].split("{")[0] for query in asked.values()}
    assert names <= {
        line.split("{")[0].split(" ")[0].removeprefix("vitrine_consumer_") for line in real_page().split("\n")
    }


def replaced(**more: object) -> ScalingSettings:
    return ScalingSettings.read({**GIVEN, "prometheus_url": "http://p:9090", **more})


def test_the_answers_of_prometheus_become_figures() -> None:
    bodies = dict.fromkeys(queries(replaced()), body("3")) | {"outage": body("0"), "oldest_s": body(None)}
    figures = read_figures(bodies, 7.0)
    assert figures == Figures(
        at=7.0, backlog=3, in_flight=3, arrival_rate=3, service_rate=3, oldest_s=0, outage=False, complete=True
    )
    for silent in ("looks", "backlog"):
        assert read_figures({**bodies, silent: body(None)}, 7.0) is None
    assert read_figures({**bodies, "looks": body("0")}, 7.0) is None


@pytest.mark.parametrize(
    "bad", ["", "[]", "{}", body("NaN"), body("-1"), body("+Inf"), body("x"), body(1), body(status="error"), body({})]
)
def test_other_answers_are_refused(bad: str) -> None:
    with pytest.raises(BadAnswer):
        read_value(bad)


# -- over HTTP --


@contextmanager
def web(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server that answers as the function says; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def say(handler: BaseHTTPRequestHandler, text: str, code: int = 200, **headers: str) -> None:
    handler.send_response(code)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(text.encode())


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b"vitrine_consumer_x 1\n")
        handler.wfile.flush()
        time.sleep(0.1)


def flood(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b"x" * 100_000)


def look(*urls: str, **more: object) -> Figures | None:
    settings = ScalingSettings.read({**GIVEN, "metrics_urls": urls, **more})

    async def once() -> Figures | None:
        async with httpx.AsyncClient(trust_env=False, timeout=settings.timeout_s) as http:
            return await Workers(settings, http, time.monotonic).look()

    return asyncio.run(once())


def test_workers_are_read_over_http_also_by_name() -> None:
    metrics = Metrics()
    metrics.show(status(7, 2), {TP: End(1000, 0)})
    port = metrics.serve(0)
    figures = look(f"http://localhost:{port}/metrics", f"http://127.0.0.1:{port}/metrics")
    assert figures is not None
    assert (figures.backlog, figures.in_flight) == (7, 2)


@pytest.mark.parametrize(
    "answer",
    [
        drip,
        flood,
        lambda handler: say(handler, "no", 500),
        lambda handler: say(handler, "", 302, Location="http://127.0.0.1:1/metrics"),
        lambda handler: say(handler, "<html>not found</html>"),
        lambda handler: handler.wfile.write(b"\x00\x01 garbage\r\n\r\n"),
        lambda handler: None,
    ],
    ids=["drip", "flood", "error", "redirect", "html", "garbage", "nothing"],
)
def test_what_one_bad_server_says_is_ignored(
    answer: Callable[[BaseHTTPRequestHandler], None], caplog: pytest.LogCaptureFixture
) -> None:
    good = real_page()
    with web(answer) as bad, web(lambda handler: say(handler, good)) as fine:
        figures = look(f"{bad}/metrics", f"{fine}/metrics")
    assert figures is not None
    assert figures.backlog == 7
    assert [record for record in caplog.records if bad in record.getMessage()]


def test_a_name_that_nobody_knows_is_no_end() -> None:
    assert look("http://nobody.invalid:1/metrics") is None


def test_prometheus_is_asked_with_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str | None]] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        asked.append((parse_qs(parts.query)["query"][0], handler.headers["Authorization"]))
        say(handler, body("0" if "breaker" in handler.path else "3"))

    monkeypatch.setenv("PROMETHEUS_TOKEN", "secret")
    with web(answer) as url:
        settings = replaced(prometheus_url=url + "/prefix/", token_env="PROMETHEUS_TOKEN", timeout_s=5, stale_s=30)
        watch = Watch(settings)
        watch.start()
        figures = until(lambda: watch.figures)
        watch.stop()
    assert (figures.backlog, figures.arrival_rate) == (3, 3)
    assert {query for query, _ in asked} == set(queries(settings).values())
    assert {token for _, token in asked} == {"Bearer secret"}


def test_a_prometheus_that_is_away_leaves_the_last_figures() -> None:
    answers = iter(["good"] * 7 + ["bad"] * 7)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        good = next(answers) == "good"
        say(handler, body("0" if "breaker" in handler.path else "3") if good else "<html>")

    async def twice(settings: ScalingSettings) -> list[Figures | None]:
        async with httpx.AsyncClient(trust_env=False) as http:
            source = Prometheus(settings, http, time.monotonic)
            return [await source.look(), await source.look()]

    with web(answer) as url:
        first, second = asyncio.run(twice(replaced(prometheus_url=url, timeout_s=5, stale_s=30)))
    assert first is not None
    assert first == second


# -- the thread --


def until(found: Callable[[], Figures | None], seconds: float = 20) -> Figures:
    deadline = time.monotonic() + seconds
    while (got := found()) is None:
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(0.01)
    return got


class Story:
    """A source that gives one thing after another; the last one for ever."""

    def __init__(self, *chapters: Figures | Exception) -> None:
        self._chapters = list(chapters)

    async def look(self) -> Figures:
        chapter = self._chapters.pop(0) if len(self._chapters) > 1 else self._chapters[0]
        if isinstance(chapter, Exception):
            raise chapter
        return chapter


def watch(story: Story, cluster: Callable[[], Mapping[str, float]] | None = None, **more: object) -> Watch:
    settings = ScalingSettings.read({**GIVEN, "metrics_urls": ["http://w"], "look_every_s": 0.2, **more})
    return Watch(settings, cluster, source=lambda _settings, _clock: story)


def test_a_look_that_fails_is_followed_by_another() -> None:
    watching = watch(Story(RuntimeError("a defect"), Figures(at=1.0, backlog=5)))
    watching.start()
    assert until(lambda: watching.figures).backlog == 5
    watching.stop()
    assert watching.join(10)


def test_the_room_is_what_fits_of_the_scarcest_and_its_last_known_size_stands() -> None:
    answers: list[Mapping[str, float]] = [{"GPU": 4.0, "CPU": 0.3}]

    def cluster() -> Mapping[str, float]:
        if not answers:
            raise RuntimeError("the cluster is away")
        return answers.pop()

    watching = watch(Story(Figures(at=1.0, backlog=0)), cluster, replica_needs={"GPU": 0.5, "CPU": 0.1})
    watching._look(loop := asyncio.new_event_loop(), Story(Figures(at=1.0, backlog=0)))
    assert watching.room == 3
    watching._look(loop, Story(Figures(at=2.0, backlog=0)))
    assert (watching.room, watching.figures) == (3, Figures(at=2.0, backlog=0))
    loop.close()


def test_without_needs_there_is_no_limit() -> None:
    watching = watch(Story(Figures(at=1.0, backlog=0)), lambda: {"CPU": 2.0})
    watching._look(loop := asyncio.new_event_loop(), Story(replace(Figures(at=1.0, backlog=0))))
    loop.close()
    assert watching.room is None
