"""`vitrine doctor`: what this machine lacks."""

from dataclasses import asdict

import typer
from rich.table import Table
from rich.text import Text

from deploy.cli.console import out, print_json
from deploy.cli.options import JsonOption, StateOption
from deploy.services.prerequisites import Purpose, check_all
from deploy.settings import DeploySettings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(state: StateOption = None, json_: JsonOption = False) -> None:
    """Say what is missing on this machine, for what, and how to get it. Exit code 1 if the embedded demo cannot run."""
    checks = check_all(state or DeploySettings().state_dir)
    ready = {purpose: all(check.ok for check in checks if check.purpose is purpose) for purpose in Purpose}
    if json_:
        print_json({"ready": ready, "checks": [asdict(check) for check in checks]})
    else:
        table = Table("", "what", "for", "found", "how to get it", box=None)
        for check in checks:
            mark = Text("ok", style="green") if check.ok else Text("missing", style="red")
            table.add_row(mark, check.name, check.purpose, check.found, check.remedy)
        out.print(table)
        for purpose, is_ready in ready.items():
            out.print(Text(f"{purpose}: ") + (Text("ready") if is_ready else Text("not possible yet", style="red")))
    if not ready[Purpose.DEMO]:
        raise typer.Exit(1)
