"""`vitrine up`: start the local services and leave them running."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from deploy.cli.console import out, print_json, tell
from deploy.cli.endpoint_view import environment, plain
from deploy.cli.options import EndpointOption, GivenKafkaOption, JsonOption, RayAddressOption, StateOption
from deploy.errors import DeployError, StateConflict
from deploy.services.interface import Endpoints
from deploy.services.processes import alive
from deploy.services.stack import Choice, KafkaKind, Stack, StoreKind
from deploy.services.state import StackState, StateFile
from deploy.services.topic_plan import wanted_topics
from deploy.settings import DeploySettings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(up)


def up(
    kafka: Annotated[KafkaKind, typer.Option(help="Which Kafka to start.")] = KafkaKind.EMBEDDED,
    brokers: Annotated[int, typer.Option(help="Brokers of the real Kafka: 1 or 3.")] = 1,
    store: Annotated[StoreKind, typer.Option(help="Which S3-compatible store to start.")] = StoreKind.EMBEDDED,
    bootstrap: GivenKafkaOption = None,
    endpoint: EndpointOption = None,
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Start Ray Serve.")] = True,
    serve_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of Ray Serve; a free one by default.")
    ] = None,
    ray_address: RayAddressOption = None,
    consumers: Annotated[int, typer.Option(min=0, max=64, help="Number of consumer workers to start.")] = 0,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Start the local services and leave them running; `vitrine down` stops them.

    Embedded services need only Python. The real Kafka needs Java and, once, Maven; the real store needs Go once.
    """
    settings = DeploySettings()
    file = StateFile(state or settings.state_dir)
    choice = Choice(
        kafka=kafka,
        brokers=brokers,
        store=store,
        bootstrap=bootstrap,
        endpoint=endpoint,
        serve=serve,
        serve_port=serve_port,
        ray_address=ray_address,
        consumers=consumers,
        topics=wanted_topics(settings.partitions),
    )
    if choice.empty:
        raise DeployError("there is nothing to start: every service is switched off, or runs somewhere else")
    with file.locked():
        _require_idle(file)
        stack = Stack(choice, file.folder, report=tell, leash=False)
        try:
            endpoints = stack.start()
            file.write(StackState(endpoints=endpoints, processes=list(stack.processes())))
        except BaseException:
            stack.stop()
            raise
    _show_endpoints(endpoints, file.folder, json_=json_)


def _require_idle(file: StateFile) -> None:
    known = file.read()
    if known is not None and any(map(alive, known.processes)):
        raise StateConflict(f"services of {file.folder} are running; stop them with `vitrine down` first")


def _show_endpoints(endpoints: Endpoints, folder: Path, *, json_: bool) -> None:
    if json_:
        print_json({"endpoints": plain(endpoints), "environment": environment(endpoints, folder)})
        return
    table = Table("what", "where", box=None)
    for name, value in plain(endpoints).items():
        if value:
            table.add_row(name, str(value))
    out.print(table)
    out.print(f"Logs and data: {folder}. Stop with: vitrine down --state {folder}", soft_wrap=True)
