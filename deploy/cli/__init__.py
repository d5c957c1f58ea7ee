"""The `vitrine` command.

Each command group is a module of this package with a `register(app)` function; `GROUPS` lists them in the order of the
help page.
"""

import os
import sys
from importlib.metadata import version
from types import ModuleType

import typer
from pydantic import ValidationError

from deploy.cli import catalog, consume, demo, doctor, produce, services, tail, topics
from deploy.cli.console import print_error
from deploy.errors import DeployError
from deploy.settings import DeploySettings

GROUPS: tuple[ModuleType, ...] = (demo, services, topics, produce, consume, tail, catalog, doctor)

HELP = """Vitrine: a streaming photo studio for online catalogs.

Kafka listing events go through consumers and Ray Serve into an S3-compatible store, as store-ready images."""

app = typer.Typer(
    name="vitrine",
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vitrine {version('vitrine')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
    debug: bool = typer.Option(False, "--debug", help="Show the Python stack of errors (VITRINE_DEPLOY_DEBUG=1)."),
) -> None:
    if debug:
        os.environ["VITRINE_DEPLOY_DEBUG"] = "1"


for group in GROUPS:
    group.register(app)


def main() -> None:
    """Run the command line. An error ends in one line on stderr and exit code 1, Ctrl-C in exit code 130."""
    try:
        app()
    except DeployError as error:
        if DeploySettings().debug:
            raise
        print_error(str(error))
        sys.exit(1)
    except ValidationError as error:
        # Only settings are validated outside the commands; pydantic names the field and what is wrong with it.
        print_error(str(error))
        sys.exit(2)
    except Exception as error:
        if DeploySettings().debug:
            raise
        print_error(f"{type(error).__name__}: {error} (vitrine --debug shows where)")
        sys.exit(1)
