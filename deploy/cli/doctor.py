"""`vitrine doctor`: what this machine lacks."""

from dataclasses import asdict

import typer
from rich.table import Table
from rich.text import Text

from deploy.cli.console import out, print_json
from deploy.cli.options import JsonOption, RayAddressOption, StateOption
from deploy.errors import DeployError
from deploy.services.prerequisites import Check, Purpose, check_all
from deploy.services.ray_given import GivenRay
from deploy.settings import DeploySettings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(state: StateOption = None, ray_address: RayAddressOption = None, json_: JsonOption = False) -> None:
    """Say what is missing on this machine, for what, and how to get it.

    With --ray-address also whether that cluster would do; nothing is changed there. Exit code 1 if the embedded demo
    cannot run, or not on that cluster.
    """
    settings = DeploySettings()
    folder = state or settings.state_dir
    checks = check_all(folder)
    if ray_address:
        checks.append(_cluster(GivenRay(ray_address, folder, settings)))
    ready = {
        purpose: all(check.ok for check in checks if check.purpose is purpose)
        for purpose in Purpose
        if any(check.purpose is purpose for check in checks)
    }
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
    if not ready[Purpose.DEMO] or not ready.get(Purpose.GIVEN_RAY, True):
        raise typer.Exit(1)


def _cluster(given: GivenRay) -> Check:
    try:
        cluster, nodes, _ = given.check()
    except DeployError as error:
        return Check(
            name="Ray cluster", purpose=Purpose.GIVEN_RAY, ok=False, found=str(error), remedy="see deploy/README.md"
        )
    return Check(name="Ray cluster", purpose=Purpose.GIVEN_RAY, ok=True, found=f"{len(nodes)} nodes at {cluster.url}")
