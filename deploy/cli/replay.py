"""`vitrine replay`: past events once more, through the recipes of today."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import httpx
import typer
from kafka.errors import KafkaError

from consumers.settings import ConsumerSettings
from consumers.tools.log_reader import LogReader
from consumers.tools.replay import Replay
from consumers.tools.replay_range import Point, Range, find
from consumers.tools.replay_tally import Tally
from deploy.cli.connection import consumer_settings
from deploy.cli.console import err
from deploy.cli.moments import moment_ms
from deploy.cli.options import BootstrapOption, JsonOption, StateOption
from deploy.cli.progress import progress
from deploy.cli.replay_view import report, show_range
from deploy.errors import DeployError, ServiceFailed
from deploy.services.kafka_topics import ensure_topics, require_kafka, topic_name

_SERVE_S = 5.0
_POINT_HELP = "offset (the same in each partition), or a time: 2026-01-31T12:00, 90s, 15m, 2h, 3d ago"


def _point(text: str) -> Point:
    if text.isdecimal():
        return Point(offset=int(text))
    return Point(offset=0) if text == "earliest" else Point(time_ms=moment_ms(text))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(replay)


def replay(
    start: Annotated[
        Any, typer.Option("--from", metavar="TIME|OFFSET", parser=_point, help=f"First event: {_POINT_HELP}, earliest.")
    ],
    results_topic: Annotated[str, typer.Option("--results-topic", help="Topic of the results; made if it is missing.")],
    end: Annotated[
        Any, typer.Option("--to", metavar="TIME|OFFSET", parser=_point, help="First event no more to replay; now.")
    ] = None,
    topics: Annotated[
        str | None, typer.Option(help="Topics of the events, separated by commas [VITRINE_CONSUMERS_TOPICS].")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many events.")] = None,
    rate: Annotated[float | None, typer.Option(min=0.01, help="Begin at most so many events a second.")] = None,
    dead_topic: Annotated[
        str | None, typer.Option("--dead-topic", help="Topic for what cannot be answered; else it is only told.")
    ] = None,
    serve: Annotated[str | None, typer.Option("--serve", metavar="URL", help="Where Serve answers.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Also into the results topic that everybody reads.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be replayed.")] = False,
    bootstrap: BootstrapOption = None,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Answer past events once more, through the recipes of today, into a results topic of their own.

    Serve does the work though an event was answered or is stale, and changes none of its answers; images that are
    stored already are used. Nothing is deleted, and no listing that was deleted comes back. Exit code 1 if an event
    could not be answered or its offset is gone, 130 after Ctrl-C, which lets what is with Serve finish.
    """
    live = consumer_settings(bootstrap, state)
    settings = _chosen(live, topics, results_topic, dead_topic, serve, force=force)
    require_kafka(settings)
    try:
        with LogReader(settings) as reader:
            chosen = find(reader, settings.topics, start, end)
            if chosen.missing:
                raise DeployError(f"there is no topic {', '.join(chosen.missing)} at {settings.bootstrap}")
            if dry_run:
                show_range(chosen, json_)
                return
            _prepare(settings, reader, dead_topic)
            work = Replay(settings, reader, dead_letters=dead_topic is not None, rate=rate, limit=limit)
            try:
                _run(work, chosen, limit)
            finally:
                # However it ends: what was done is told.
                report(settings.results_topic, chosen, work.tally, json_)
    except KafkaError as error:
        raise ServiceFailed(f"Kafka at {settings.bootstrap} does not do as asked: {error}") from error
    tally = work.tally
    if tally.interrupted:
        raise typer.Exit(130)
    if tally.codes or tally.removed:
        raise typer.Exit(1)


def _chosen(
    live: ConsumerSettings,
    topics: str | None,
    results_topic: str,
    dead_topic: str | None,
    serve: str | None,
    *,
    force: bool,
) -> ConsumerSettings:
    """The settings of the replay; `DeployError` where its answers would disturb the living."""
    sources = tuple(topic_name(name.strip()) for name in topics.split(",")) if topics else live.topics
    closed = {*live.topics, *live.retry_topics, *sources}
    for name in filter(None, (results_topic, dead_topic)):
        if topic_name(name) in closed:
            raise DeployError(f"{name} is a topic of events: answers there would be taken for events")
    if results_topic == live.dead_topic or dead_topic in (results_topic, live.results_topic):
        raise DeployError("results and dead letters do not go into the same topic")
    if results_topic == live.results_topic and not force:
        raise DeployError(
            f"{results_topic} is the topic that everybody reads. Choose another one, or say --force: there, readers of"
            " ours drop the results as repeats, and others take them for new ones"
        )
    changes: dict[str, Any] = {"topics": sources, "results_topic": results_topic}
    if dead_topic is not None:
        changes["dead_topic"] = dead_topic
    if serve is not None:
        changes["serve_url"] = serve
    return live.model_copy(update=changes)


def _prepare(settings: ConsumerSettings, reader: LogReader, dead_topic: str | None) -> None:
    try:
        headers, tls = settings.serve_headers(), settings.serve_tls()
        url = f"{settings.serve_url}/v1/capacity"
        httpx.get(url, headers=headers, verify=tls, timeout=_SERVE_S, trust_env=False).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ServiceFailed(
            f"Serve at {settings.serve_url} does not answer: {error}. Does it run, and is the address right"
            " (--serve URL, VITRINE_CONSUMERS_SERVE_URL)?"
        ) from error
    wanted = [name for name in (settings.results_topic, dead_topic) if name is not None]
    missing = [name for name in wanted if not reader.partitions(name)]
    # The embedded Kafka makes its topics by itself.
    if missing and settings.api_version is None:
        count = max(len(reader.partitions(topic)) for topic in settings.topics)
        for name in ensure_topics(settings.bootstrap, dict.fromkeys(missing, count)):
            err.print(f"{name} created")


def _run(work: Replay, chosen: Range, limit: int | None) -> None:
    total = chosen.size if limit is None else min(limit, chosen.size)
    with _stopping(work.stop), progress("replaying", total) as tell:

        def show(tally: Tally) -> None:
            again = f", {tally.retries.total()} tries repeated" if tally.retries else ""
            tell(tally.done, f"{tally.images} images{again}")

        work.run(chosen, show)


@contextmanager
def _stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM stop in good order, the second one without waiting."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: stop()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
