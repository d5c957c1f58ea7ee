"""`vitrine produce`: events from a file to a topic."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from consumers.settings import ConsumerSettings
from deploy.cli.connection import consumer_settings
from deploy.cli.console import out, print_error, print_json
from deploy.cli.options import BootstrapOption, JsonOption, StateOption
from deploy.demo.sending import EventSender, Receipt
from deploy.demo.validation import Line, read_lines
from deploy.errors import DeployError
from deploy.services.kafka_topics import require_kafka, topic_name
from deploy.services.topic_plan import EVENTS


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(produce)


def produce(
    file: Annotated[Path, typer.Argument(help="NDJSON file of structured CloudEvents; - reads standard input.")],
    topic: Annotated[str, typer.Option(help="Topic to send to.")] = EVENTS[0],
    raw: Annotated[bool, typer.Option("--raw", help="Send every line as it is, whatever it holds.")] = False,
    bootstrap: BootstrapOption = None,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Send listing events from a file, one structured CloudEvent per line, keyed by tenant and listing.

    Lines that are no valid event are reported with their number and not sent; then the exit code is 1.
    """
    topic_name(topic)
    lines = _read(file)
    good = [line for line in lines if raw or line.problem is None]
    bad = [line for line in lines if not raw and line.problem is not None]
    sent = _send(good, topic, consumer_settings(bootstrap, state)) if good else []
    if json_:
        print_json({"sent": sent, "invalid": [_problem(line) for line in bad]})
    else:
        for line in bad:
            print_error(f"{file}:{line.number}: {line.code}: {line.problem}")
        out.print(f"{len(sent)} events sent to {topic}" + (f", {len(bad)} lines not sent" if bad else ""))
    if bad:
        raise typer.Exit(1)


def _read(file: Path) -> list[Line]:
    try:
        source = nullcontext(sys.stdin.buffer) if str(file) == "-" else file.open("rb")
        with source as stream:
            return list(read_lines(stream))
    except OSError as error:
        raise DeployError(f"{file} cannot be read: {error.strerror}") from error


def _send(lines: list[Line], topic: str, settings: ConsumerSettings) -> list[dict[str, Any]]:
    require_kafka(settings)
    with EventSender(settings, topic) as sender:
        receipts: list[tuple[Line, Receipt]] = [(line, sender.send(line.message)) for line in lines]
        return [
            {"line": line.number, "event_id": line.event_id, **receipt.position().model_dump()}
            for line, receipt in receipts
        ]


def _problem(line: Line) -> dict[str, Any]:
    return {"line": line.number, "event_id": line.event_id, "code": line.code, "message": line.problem}
