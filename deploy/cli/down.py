"""`vitrine down` and `vitrine status`: what `vitrine up` left running."""

import shutil
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from deploy.cli.console import err, out, print_json, tell
from deploy.cli.endpoint_view import environment, plain
from deploy.cli.options import JsonOption, StateOption
from deploy.services.processes import ProcessRecord, alive, stop_process
from deploy.services.state import StackState, StateFile
from deploy.settings import DeploySettings

#: What a stack writes under its state folder; nothing else there is ours to remove.
_DATA_FOLDERS = ("kafka", "store", "ray", "serve", "consumers")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(down)
    app.command()(status)


def down(
    purge: Annotated[bool, typer.Option("--purge", help="Remove data and logs too: topics, objects, index.")] = False,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Stop the services that `vitrine up` left running. Objects and the real Kafka's records stay for the next `up`."""
    settings = DeploySettings()
    file = StateFile(state or settings.state_dir)
    stopped = _stop(file, settings.stop_timeout_s, purge=purge) if file.exists() else []
    if json_:
        print_json({"stopped": stopped, "purged": purge})
    else:
        err.print("stopped" if stopped else f"nothing is running in {file.folder}", soft_wrap=True)


def _stop(file: StateFile, timeout_s: float, *, purge: bool) -> list[str]:
    """Names of the services that were stopped."""
    stopped = []
    with file.locked():
        known = file.read()
        for record in reversed(known.processes if known else []):
            if alive(record):
                tell(record.name, "stopping")
                stopped.append(record.name)
            stop_process(record, timeout_s)
        file.remove()
        if purge:
            for name in _DATA_FOLDERS:
                shutil.rmtree(file.folder / name, ignore_errors=True)
    return stopped


def status(state: StateOption = None, json_: JsonOption = False) -> None:
    """Show the services that `vitrine up` left running. Exit code 1 if none runs or one has died."""
    file = StateFile(state or DeploySettings().state_dir)
    known = file.read()
    services = [_service(record) for record in known.processes] if known else []
    healthy = bool(services) and all(service["running"] for service in services)
    if json_:
        print_json(
            {
                "running": healthy,
                "started_at": known.started_at if known else None,
                "services": services,
                "endpoints": plain(known.endpoints) if known else None,
                "environment": environment(known.endpoints, file.folder) if known else {},
            }
        )
    elif known is None:
        out.print(f"nothing is running in {file.folder}", soft_wrap=True)
    else:
        _show_status(known, services)
    if not healthy:
        raise typer.Exit(1)


def _service(record: ProcessRecord) -> dict[str, Any]:
    return {"name": record.name, "pid": record.pid, "running": alive(record), "log": record.log}


def _show_status(known: StackState, services: list[dict[str, Any]]) -> None:
    table = Table("service", "process", "state", "log", box=None)
    for service in services:
        mark = Text("running", style="green") if service["running"] else Text("gone", style="red")
        table.add_row(service["name"], str(service["pid"]), mark, service["log"])
    out.print(table)
    for name, value in plain(known.endpoints).items():
        if value:
            out.print(f"{name}: {value}", soft_wrap=True)
