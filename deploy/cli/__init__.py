"""The `vitrine` command.

Each command is in a module of this package with a `register(app)` function; `COMMANDS` lists them in the order of the
help page. A module is imported when its command is asked for: together they need seconds to import.
"""

import os
import signal
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from typing import Any, NoReturn

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from deploy.cli.console import print_error
from deploy.errors import DeployError

#: Command to module.
COMMANDS = {
    "demo": "demo",
    "up": "up",
    "down": "down",
    "status": "down",
    "topics": "topics",
    "produce": "produce",
    "consume": "consume",
    "tail": "tail",
    "dlq": "dlq",
    "replay": "replay",
    "lag": "lag",
    "loadtest": "loadtest",
    "doctor": "doctor",
    "recipes": "catalog",
    "channels": "catalog",
    "inspect": "inspection",
    "tokens": "tokens",
}

#: Settings class to the prefix of its variables.
_PREFIXES = {
    "DeploySettings": "VITRINE_DEPLOY_",
    "ConsumerSettings": "VITRINE_CONSUMERS_",
    "ServeSettings": "VITRINE_SERVE_",
}

HELP = """Vitrine: a streaming photo studio for online catalogs.

Kafka listing events go through consumers and Ray Serve into an S3-compatible store, as store-ready images."""


class LazyCommands(TyperGroup):
    """A group that imports the module of a command when it is needed."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature of the base class
        """All names, in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command; None where there is none of this name."""
        if cmd_name not in COMMANDS:
            return None
        module = typer.Typer()
        import_module(f"deploy.cli.{COMMANDS[cmd_name]}").register(module)
        return typer.main.get_group(module).get_command(ctx, cmd_name)


app = typer.Typer(
    name="vitrine",
    cls=LazyCommands,
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


def _end(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def main() -> None:
    """Run the command line. An error ends in one line on stderr and exit code 1, Ctrl-C in exit code 130.

    With `--json`, stdout holds one JSON document or nothing at all; errors stay lines on stderr.
    """
    # An exception, so that what a command started is stopped on the way out.
    signal.signal(signal.SIGTERM, _end)
    try:
        app()
    except DeployError as error:
        if _debug():
            raise
        _fail(str(error))
    except ValidationError as error:
        # Only settings are validated outside the commands.
        for line in settings_faults(error):
            print_error(line)
        sys.exit(2)
    except Exception as error:
        if _debug():
            raise
        _fail(f"{type(error).__name__}: {error} (vitrine --debug shows where)")


def _debug() -> bool:
    # Not through the settings: they may be what is wrong.
    return os.environ.get("VITRINE_DEPLOY_DEBUG", "").lower() in {"1", "true", "yes", "on", "t", "y"}


def _fail(message: str) -> NoReturn:
    print_error(message)
    sys.exit(1)


def settings_faults(error: ValidationError) -> Iterator[str]:
    """One line per setting that is wrong, with the environment variable that sets it."""
    prefix = _PREFIXES.get(error.title, "")
    for fault in error.errors():
        name = prefix + ".".join(map(str, fault["loc"])).upper()
        yield f"{name or error.title}: {fault['msg']}"
