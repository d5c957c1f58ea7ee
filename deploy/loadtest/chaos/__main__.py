"""The chaos run from the command line; exit code 1 and the seed where a promise was broken.

python -m deploy.loadtest.chaos --events 2000 --faults 4 --seed 7
"""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.console import err, out, print_error, print_json
from deploy.errors import DeployError
from deploy.loadtest.chaos.options import ChaosOptions, Delivery
from deploy.loadtest.chaos.report import tables
from deploy.loadtest.chaos.run import Chaos
from deploy.loadtest.chaos.view import ChaosView


def chaos(  # noqa: PLR0917 - a command has as many parameters as options
    events: Annotated[int, typer.Option(min=10, help="Events to send.")] = 20_000,
    faults: Annotated[str, typer.Option(help="How many faults, or their names with commas between them.")] = "24",
    seed: Annotated[int, typer.Option(help="Decides events, photos, faults and whom they hit.")] = 1,
    delivery: Annotated[Delivery, typer.Option(help="How the consumers deliver.")] = "effectively_once",
    consumers: Annotated[int, typer.Option(min=1, help="Consumers to begin with.")] = 4,
    folder: Annotated[Path, typer.Option(help="Folder for logs and data; emptied first.")] = Path(".vitrine/chaos"),
    json_: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """Send events through real servers that are killed, frozen, cut and replaced; then account for each event."""
    options = ChaosOptions(
        events=events, faults=faults, seed=seed, delivery=delivery, consumers=consumers, folder=folder
    )
    try:
        with ChaosView(err) as view:
            report = Chaos(options, view).run()
    except DeployError as error:
        print_error(f"{error} (seed {seed})")
        sys.exit(1)
    if json_:
        print_json(report.to_json())
    else:
        out.print(tables(report))
    if not report.ok:
        print_error(f"promises were broken; again with --seed {seed}. The logs are in {folder}")
        sys.exit(1)


def main() -> None:
    """Run the command line."""
    # An exception, so that what was started is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(chaos)
    app()


if __name__ == "__main__":
    main()
