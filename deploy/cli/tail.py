"""`vitrine tail`: results as NDJSON."""

import sys
import time
from typing import Annotated

import typer

from consumers.reader import read
from deploy.cli.connection import consumer_settings
from deploy.cli.console import print_error
from deploy.cli.options import BootstrapOption, StateOption
from deploy.services.kafka_topics import require_kafka

#: How long to look for a broker.
_REACH_S = 10.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(tail)


def tail(
    until: Annotated[int | None, typer.Option(min=1, help="Stop after so many results.")] = None,
    timeout: Annotated[float | None, typer.Option(min=0, help="Stop after so many seconds.")] = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning/--from-latest", help="Start with the oldest result, or with the next.")
    ] = True,
    whole: Annotated[bool, typer.Option("--events", help="Print the whole CloudEvent, not its data alone.")] = False,
    bootstrap: BootstrapOption = None,
    state: StateOption = None,
) -> None:
    """Print results as NDJSON through the de-duplicating reader: repeats and older revisions are dropped.

    With --until, the exit code is 1 if fewer results came within --timeout.
    """
    settings = consumer_settings(bootstrap, state)
    began = time.monotonic()
    require_kafka(settings, _REACH_S if timeout is None else min(timeout, _REACH_S))
    left = None if timeout is None else max(0.0, timeout - (time.monotonic() - began))
    seen = 0
    for event in read(settings, start="earliest" if from_beginning else "latest", until=until, timeout_s=left):
        seen += 1
        sys.stdout.write((event if whole else event.data).model_dump_json() + "\n")
        sys.stdout.flush()
    if until is not None and seen < until:
        print_error(f"{seen} of {until} results came in time")
        raise typer.Exit(1)
