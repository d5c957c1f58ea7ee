"""`vitrine up`, `down` and `status`: the local services."""

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from deploy.cli.console import err, out, print_json
from deploy.cli.options import BootstrapOption, EndpointOption, JsonOption, StateOption
from deploy.errors import StateConflict
from deploy.services.environment import consumers_env, serve_env
from deploy.services.interface import Endpoints
from deploy.services.processes import ProcessRecord, alive, stop_process
from deploy.services.stack import Choice, KafkaKind, Stack, StoreKind
from deploy.services.state import StackState, StateFile
from deploy.services.topic_plan import wanted_topics
from deploy.settings import DeploySettings


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(down)
    app.command()(status)


def up(
    kafka: Annotated[KafkaKind, typer.Option(help="Which Kafka to start.")] = KafkaKind.EMBEDDED,
    brokers: Annotated[int, typer.Option(help="Brokers of the real Kafka: 1 or 3.")] = 1,
    store: Annotated[StoreKind, typer.Option(help="Which S3-compatible store to start.")] = StoreKind.EMBEDDED,
    bootstrap: BootstrapOption = None,
    endpoint: EndpointOption = None,
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Start Ray Serve.")] = True,
    serve_port: Annotated[int | None, typer.Option(help="Port of Ray Serve; a free one by default.")] = None,
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
        consumers=consumers,
        topics=wanted_topics(settings.partitions),
    )
    with file.locked():
        _require_idle(file)
        stack = Stack(choice, file.folder, report=_tell, leash=False)
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


def _tell(service: str, phase: str) -> None:
    err.print(f"[dim]{service}[/] {phase}")


def _environment(endpoints: Endpoints, folder: Path) -> dict[str, str]:
    return {**serve_env(endpoints, folder), **consumers_env(endpoints)}


def _show_endpoints(endpoints: Endpoints, folder: Path, *, json_: bool) -> None:
    if json_:
        print_json({"endpoints": _plain(endpoints), "environment": _environment(endpoints, folder)})
        return
    table = Table("what", "where", box=None)
    for name, value in _plain(endpoints).items():
        if value:
            table.add_row(name, str(value))
    out.print(table)
    out.print(f"Logs and data: {folder}. Stop with: vitrine down --state {folder}", soft_wrap=True)


def _plain(endpoints: Endpoints) -> dict[str, Any]:
    version = endpoints.kafka_api_version
    return {
        "kafka": endpoints.bootstrap,
        "kafka_api_version": list(version) if version else None,
        "s3_endpoint": endpoints.s3_endpoint,
        "s3_access_key": endpoints.access_key,
        "s3_secret_key": endpoints.secret_key,
        "s3_bucket": endpoints.bucket,
        "serve": endpoints.serve_url,
    }


def down(
    purge: Annotated[bool, typer.Option("--purge", help="Remove data and logs too: topics, objects, index.")] = False,
    state: StateOption = None,
) -> None:
    """Stop the services that `vitrine up` left running. Objects and the real Kafka's records stay for the next `up`."""
    settings = DeploySettings()
    file = StateFile(state or settings.state_dir)
    if not file.folder.is_dir():
        err.print(f"nothing is running in {file.folder}")
        return
    with file.locked():
        known = file.read()
        for record in reversed(known.processes if known else []):
            _tell(record.name, "stopping")
            stop_process(record, settings.stop_timeout_s)
        file.remove()
        if purge:
            for name in _DATA_FOLDERS:
                shutil.rmtree(file.folder / name, ignore_errors=True)
    err.print("stopped" if known else f"nothing is running in {file.folder}")


#: What a stack writes under its state folder; nothing else there is ours to remove.
_DATA_FOLDERS = ("kafka", "store", "ray", "serve", "consumers")


def status(state: StateOption = None, json_: JsonOption = False) -> None:
    """Show the services that `vitrine up` left running. Exit code 1 if none runs or one has died."""
    file = StateFile(state or DeploySettings().state_dir)
    known = file.read()
    services = [_service(record) for record in known.processes] if known else []
    healthy = bool(known) and all(service["running"] for service in services)
    if json_:
        print_json(
            {
                "running": healthy,
                "started_at": known.started_at if known else None,
                "services": services,
                "endpoints": _plain(known.endpoints) if known else None,
                "environment": _environment(known.endpoints, file.folder) if known else {},
            }
        )
    elif known is None:
        out.print(f"nothing is running in {file.folder}")
    else:
        _show_status(known, services)
    if not healthy:
        raise typer.Exit(1)


def _service(record: ProcessRecord) -> dict[str, Any]:
    return {"name": record.name, "pid": record.pid, "running": alive(record), "log": record.log}


def _show_status(known: StackState, services: list[dict[str, Any]]) -> None:
    table = Table("service", "process", "state", "log", box=None)
    for service in services:
        mark = "[green]running[/]" if service["running"] else "[red]gone[/]"
        table.add_row(service["name"], str(service["pid"]), mark, service["log"])
    out.print(table)
    for name, value in _plain(known.endpoints).items():
        if value:
            out.print(f"{name}: {value}", soft_wrap=True)
