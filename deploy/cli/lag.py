"""`vitrine lag`: how far a consumer group is behind, in offsets and in time."""

import time
from contextlib import nullcontext
from typing import Annotated

import typer
from kafka.errors import KafkaError
from rich.live import Live

from consumers.settings import ConsumerSettings
from consumers.tools.lag import Idle, Totals
from consumers.tools.lag_reader import GroupReader, GroupState
from deploy.cli.connection import consumer_settings
from deploy.cli.console import out, print_error, print_json
from deploy.cli.lag_view import facts, line, split, table
from deploy.cli.moments import age
from deploy.cli.options import BootstrapOption, JsonOption, StateOption
from deploy.errors import DeployError, ServiceFailed
from deploy.services.kafka_topics import require_kafka


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(lag)


def lag(
    group: Annotated[str | None, typer.Option(help="Consumer group [VITRINE_CONSUMERS_GROUP].")] = None,
    once: Annotated[bool, typer.Option("--once", help="Show it once and end.")] = False,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 2.0,
    max_lag: Annotated[
        int | None, typer.Option("--max-lag", min=0, help="Look once; exit code 1 where more offsets are left.")
    ] = None,
    max_age: Annotated[
        float | None, typer.Option("--max-age", min=0, help="Look once; exit code 1 where an event is older, in s.")
    ] = None,
    bootstrap: BootstrapOption = None,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Show how far a group is behind: offsets up to the end, what of it is done already, the age of the oldest event.

    Live until Ctrl-C; with --json, --max-lag or --max-age it looks once. Limits count the topics of events: in retry
    topics events wait on purpose. The group does not notice.
    """
    settings = consumer_settings(bootstrap, state)
    if group is not None:
        settings = settings.model_copy(update={"group": group})
    require_kafka(settings)
    try:
        with GroupReader(settings) as reader:
            found = reader.read()
            if not found.exists:
                raise DeployError(_nobody(settings, reader))
            if not (once or json_ or max_lag is not None or max_age is not None):
                _watch(settings, reader, found, every)
    except KafkaError as error:
        raise ServiceFailed(f"Kafka at {settings.bootstrap} does not do as asked: {error}") from error
    if json_:
        print_json(facts(settings.group, found, settings.retry_topics))
    else:
        out.print(table(settings.group, found, settings.retry_topics, None))
    problems = _above(Totals.of(split(found, settings.retry_topics)[0]), max_lag, max_age)
    for problem in problems:
        print_error(problem)
    if problems:
        raise typer.Exit(1)


def _watch(settings: ConsumerSettings, reader: GroupReader, found: GroupState, every: float) -> None:
    """Show it until Ctrl-C: a table that changes on a terminal, a line each time elsewhere."""
    idle = Idle()
    with Live(console=out, auto_refresh=False, transient=True) if out.is_terminal else nullcontext() as live:
        while True:
            idle_s = idle.seconds(time.monotonic(), found.rows)
            if live is not None:
                live.update(table(settings.group, found, settings.retry_topics, idle_s), refresh=True)
            else:
                out.print(line(settings.group, found, settings.retry_topics, idle_s), soft_wrap=True)
            time.sleep(every)
            found = reader.read()


def _nobody(settings: ConsumerSettings, reader: GroupReader) -> str:
    known = reader.groups()
    told = f"there is no group {settings.group} at {settings.bootstrap}: no member, no commit."
    return f"{told} There are: {', '.join(known)}" if known else told


def _above(totals: Totals, max_lag: int | None, max_age: float | None) -> list[str]:
    problems = []
    if max_lag is not None and totals.lag > max_lag:
        problems.append(f"the lag is {totals.lag} offsets, above {max_lag}")
    if max_age is not None and totals.age_s is not None and totals.age_s > max_age:
        problems.append(f"the oldest event waits for {age(totals.age_s)}, above {max_age:g} s")
    return problems
