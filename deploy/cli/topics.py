"""`vitrine topics`: make or check the topics."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from deploy.cli.connection import connection
from deploy.cli.console import err, out, print_json
from deploy.cli.options import BootstrapOption, JsonOption, StateOption
from deploy.services.kafka_topics import check_topics, ensure_topics
from deploy.services.topic_plan import wanted_topics
from deploy.settings import DeploySettings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(topics)


def topics(
    create: Annotated[bool, typer.Option("--create", help="Make the topics that are missing.")] = False,
    partitions: Annotated[
        int | None, typer.Option(min=1, help="Partitions per topic [VITRINE_DEPLOY_PARTITIONS, default 6].")
    ] = None,
    replication: Annotated[int, typer.Option(help="Copies per topic; -1 leaves it to the broker.")] = -1,
    bootstrap: BootstrapOption = None,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Check the topics that Vitrine needs, or make those that are missing. Exit code 1 if one is missing or too small.

    A topic with too few partitions is never changed: its keys would move to other partitions and lose their order.
    The embedded Kafka has its topics from the start and makes any other, with four partitions, when it is first used.
    """
    address, api_version = connection(bootstrap, state)
    wanted = wanted_topics(partitions or DeploySettings().partitions)
    embedded = api_version is not None
    if create and embedded:
        err.print("the embedded Kafka makes its topics by itself; nothing to create")
    elif create:
        for name in ensure_topics(address, wanted, copies=replication):
            err.print(f"{name} created")
    checks = check_topics(address, wanted, api_version)
    if json_:
        print_json([{**asdict(check), "problem": check.problem} for check in checks])
    else:
        table = Table("topic", "partitions", "problem", box=None)
        for check in checks:
            table.add_row(check.topic, "-" if check.found is None else str(check.found), check.problem or "")
        out.print(table)
    if any(check.problem for check in checks):
        raise typer.Exit(1)
