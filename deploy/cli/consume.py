"""`vitrine consume`: a worker in the foreground."""

import os
from typing import Annotated

import typer

from consumers.__main__ import main
from deploy.cli.connection import consumer_settings
from deploy.cli.options import BootstrapOption, StateOption
from deploy.errors import ServiceFailed


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(consume)


def consume(
    serve: Annotated[str | None, typer.Option("--serve", metavar="URL", help="Where Serve answers.")] = None,
    group: Annotated[str | None, typer.Option(help="Consumer group.")] = None,
    bootstrap: BootstrapOption = None,
    state: StateOption = None,
) -> None:
    """Run a consumer worker until SIGTERM or Ctrl-C; it finishes what it works on first.

    All settings are environment variables `VITRINE_CONSUMERS_*`. Services that `vitrine up` left running are found by
    themselves.
    """
    told = consumer_settings(bootstrap, state)
    chosen = {
        "BOOTSTRAP": told.bootstrap,
        "API_VERSION": told.api_version,
        "SERVE_URL": serve or told.serve_url,
        "GROUP": group or told.group,
    }
    # The worker reads its settings from the environment, as it does in a cluster.
    os.environ.update({f"VITRINE_CONSUMERS_{name}": value for name, value in chosen.items() if value})
    status = main()
    if status:
        raise ServiceFailed("the worker cannot use Kafka; its log says why")
