"""Kafka, a whole worker and a whole Ray Serve around a Studio that does nothing, against asking it one by one."""

import tempfile
from pathlib import Path
from typing import Any

from consumers.settings import ConsumerSettings
from consumers.shell.client import ServeClient
from consumers.shell.inbox import Inbox
from deploy.bench.broker import fill, kafka, settings_for
from deploy.bench.exchange import ask
from deploy.bench.figure import Figure, Progress, in_turns
from deploy.bench.whole_serve import serving
from deploy.bench.worker import whole_worker

_GOAL = 10.0


def run(progress: Progress, *, events: int = 1_500, singles: int = 100, rounds: int = 3) -> Figure:
    """Events per second, from the topic to the acknowledged results."""
    with (
        tempfile.TemporaryDirectory(prefix="vitrine-bench-") as name,
        kafka(Path(name)) as (endpoints, note),
        serving(Path(name), idle, {}) as url,
    ):
        fill(settings_for(endpoints, "fill"), events)
        groups = (f"group-{number}" for number in range(10**6))
        inbox = Inbox()
        client = ServeClient(ConsumerSettings(serve_url=url), inbox)
        client.start()
        try:
            found = in_turns(
                lambda: ask(client, inbox, singles, per_request=1, most_open=1),
                lambda: whole_worker(settings_for(endpoints, next(groups), url), events),
                progress,
                rounds=rounds,
                budget_s=30.0,
            )
        finally:
            client.stop(5.0)
    return Figure.of("serving", found, unit="events/s", goal=_GOAL, note=note)


def idle(document: dict[str, Any]) -> None:
    """Studios that answer at once, as many as there are."""
    application = document["applications"][0]
    application["import_path"] = "deploy.bench.idle_app:build_app"
    # The shipped number is for events that take seconds: with it, half of the requests would be refused.
    application["args"]["events_per_replica"] = 64
